package tenant

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Workspaces creates, changes and deletes workspaces. Users write the
// WorkspaceTemplate; the Workspace, its roles and the binding of its manager
// follow. Callers authorize the requests and check reserved names.
type Workspaces struct {
	Client client.Client
}

// Get returns the template of a workspace, or a not-found error.
func (w *Workspaces) Get(ctx context.Context, name string) (*tenantv1alpha2.WorkspaceTemplate, error) {
	found := &tenantv1alpha2.WorkspaceTemplate{}
	err := w.Client.Get(ctx, client.ObjectKey{Name: name}, found)
	return found, err
}

// Create creates a workspace with everything that belongs to it. Without a
// manager in the template, its creator manages it.
func (w *Workspaces) Create(ctx context.Context, wanted *tenantv1alpha2.WorkspaceTemplate, creator string) (*tenantv1alpha2.WorkspaceTemplate, error) {
	created := &tenantv1alpha2.WorkspaceTemplate{
		ObjectMeta: metav1.ObjectMeta{
			Name: wanted.Name, Labels: wanted.Labels, Annotations: merged(wanted.Annotations, map[string]string{iamv1alpha2.AnnotationCreator: creator}),
			Finalizers: []string{tenantv1alpha2.FinalizerWorkspaceTemplate},
		},
		Spec: wanted.Spec,
	}
	// The annotation decides about the namespaces, with the deletion.
	delete(created.Annotations, tenantv1alpha2.AnnotationDeletionPropagation)
	if problems := validation.IsDNS1123Label(created.Name); len(problems) > 0 {
		return nil, status.Invalid("metadata.name", "%s", problems[0])
	}
	manager := &created.Spec.Template.Spec.Manager
	if *manager == "" {
		*manager = creator
	}
	if err := w.Client.Get(ctx, client.ObjectKey{Name: *manager}, &iamv1alpha2.User{}); err != nil {
		return nil, err
	}
	err := w.Client.Get(ctx, client.ObjectKeyFromObject(created), &tenantv1alpha2.WorkspaceTemplate{})
	if err == nil {
		return nil, apierrors.NewAlreadyExists(tenantv1alpha2.Resource("workspacetemplates"), created.Name)
	}
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	// Objects may carry the label of a workspace there is not, or names derived
	// from its name. They must not fall to its creator.
	if err := w.nameFree(ctx, created.Name); err != nil {
		return nil, err
	}
	if err := w.Client.Create(ctx, created); err != nil {
		return nil, err
	}
	return created, w.settle(ctx, created)
}

// Update replaces labels, annotations and specification of a workspace, unless check
// returns an error. It gets the object that is written over, and again after a conflict.
// With a resource version in wanted, a workspace that changed since is a conflict.
func (w *Workspaces) Update(ctx context.Context, wanted *tenantv1alpha2.WorkspaceTemplate, check func(present *tenantv1alpha2.WorkspaceTemplate) error) (updated *tenantv1alpha2.WorkspaceTemplate, err error) {
	err = kube.RetryReplace(wanted, func() error {
		updated, err = w.replace(ctx, wanted, check)
		return err
	})
	if err != nil {
		return nil, err
	}
	return updated, w.settle(ctx, updated)
}

func (w *Workspaces) replace(ctx context.Context, wanted *tenantv1alpha2.WorkspaceTemplate, check func(present *tenantv1alpha2.WorkspaceTemplate) error) (*tenantv1alpha2.WorkspaceTemplate, error) {
	present, err := w.Get(ctx, wanted.Name)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckVersion(tenantv1alpha2.Resource("workspacetemplates"), present, wanted); err != nil {
		return nil, err
	}
	manager := wanted.Spec.Template.Spec.Manager
	if manager != present.Spec.Template.Spec.Manager {
		// A manager who was just replaced has the role until the binding follows the
		// template, and does not decide about the next manager meanwhile.
		if err := w.ensureManager(ctx, present, templateOwner(present)); err != nil {
			return nil, err
		}
	}
	if err := check(present); err != nil {
		return nil, err
	}
	if manager != "" && manager != present.Spec.Template.Spec.Manager {
		if err := w.Client.Get(ctx, client.ObjectKey{Name: manager}, &iamv1alpha2.User{}); err != nil {
			return nil, err
		}
	}
	updated := present.DeepCopy()
	updated.Labels, updated.Annotations, updated.Spec = wanted.Labels, maps.Clone(wanted.Annotations), wanted.Spec
	// Whose workspace it is does not change by being left out.
	if creator, created := present.Annotations[iamv1alpha2.AnnotationCreator]; created && updated.Annotations[iamv1alpha2.AnnotationCreator] == "" {
		updated.Annotations = merged(updated.Annotations, map[string]string{iamv1alpha2.AnnotationCreator: creator})
	}
	delete(updated.Annotations, tenantv1alpha2.AnnotationDeletionPropagation)
	// An update during the deletion does not change the decision about the namespaces.
	if propagation, decided := present.Annotations[tenantv1alpha2.AnnotationDeletionPropagation]; decided && present.DeletionTimestamp != nil {
		updated.Annotations = merged(updated.Annotations, map[string]string{tenantv1alpha2.AnnotationDeletionPropagation: propagation})
	}
	return updated, w.Client.Update(ctx, updated)
}

// Dismiss takes the management of a workspace from a user, see iam.DismissManager.
func (w *Workspaces) Dismiss(ctx context.Context, workspace, user string, check func() error) error {
	return iam.DismissManager(ctx, w.Client, workspace, user, check)
}

// Namespaces are the names of the namespaces of a workspace.
func (w *Workspaces) Namespaces(ctx context.Context, workspace string) ([]string, error) {
	all := &corev1.NamespaceList{}
	if err := w.Client.List(ctx, all, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace}); err != nil {
		return nil, err
	}
	var names []string
	for n := range all.Items {
		names = append(names, all.Items[n].Name)
	}
	return names, nil
}

// settle is Ensure after a write of the template. A reconciler may be at the
// same work, so that a conflict is nothing the client should hear of.
func (w *Workspaces) settle(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return w.Ensure(ctx, template) })
}

// Ensure makes sure that the objects of a workspace exist and are as its
// template says. It can be called again after any interruption.
func (w *Workspaces) Ensure(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate) error {
	owner := templateOwner(template)
	if err := w.ensureWorkspace(ctx, template, owner); err != nil {
		return fmt.Errorf("workspace %s: %w", template.Name, err)
	}
	roles, err := bases(ctx, w.Client, "WorkspaceRole")
	if err != nil {
		return err
	}
	for n := range roles {
		if err := keepWorkspaceRole(ctx, w.Client, workspaceRole(&roles[n], owner)); err != nil {
			return fmt.Errorf("role %s of workspace %s: %w", roles[n].Metadata.Name, template.Name, err)
		}
	}
	if err := w.ensureManager(ctx, template, owner); err != nil {
		return fmt.Errorf("manager of workspace %s: %w", template.Name, err)
	}
	return nil
}

// templateOwner makes a template the owner of what belongs to the workspace.
func templateOwner(template *tenantv1alpha2.WorkspaceTemplate) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: tenantv1alpha2.SchemeGroupVersion.String(), Kind: "WorkspaceTemplate", Name: template.Name, UID: template.UID,
		Controller: new(true), BlockOwnerDeletion: new(true),
	}
}

func (w *Workspaces) ensureWorkspace(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate, owner metav1.OwnerReference) error {
	spec := template.Spec.Template
	// Whoever may write the template may not mark the workspace as this server's.
	spec.Labels, spec.Annotations = reserved.Unreserved(tenantv1alpha2.Resource("workspaces"), spec.Labels, spec.Annotations)
	found := &tenantv1alpha1.Workspace{}
	err := w.Client.Get(ctx, client.ObjectKey{Name: template.Name}, found)
	if apierrors.IsNotFound(err) {
		return ignoreExists(w.Client.Create(ctx, &tenantv1alpha1.Workspace{
			ObjectMeta: metav1.ObjectMeta{
				Name: template.Name, Labels: spec.Labels, Annotations: spec.Annotations, OwnerReferences: []metav1.OwnerReference{owner},
			},
			Spec: tenantv1alpha1.WorkspaceSpec{Manager: spec.Spec.Manager, NetworkIsolation: spec.Spec.NetworkIsolation},
		}))
	}
	if err != nil {
		return err
	}
	updated := found.DeepCopy()
	updated.Labels, updated.Annotations = merged(updated.Labels, spec.Labels), merged(updated.Annotations, spec.Annotations)
	updated.Spec = tenantv1alpha1.WorkspaceSpec{Manager: spec.Spec.Manager, NetworkIsolation: spec.Spec.NetworkIsolation}
	updated.OwnerReferences = owned(updated.OwnerReferences, owner)
	if equality.Semantic.DeepEqual(found, updated) {
		return nil
	}
	return w.Client.Update(ctx, updated)
}

// ensureManager keeps the binding of the manager, which is the one that has
// the name of the administrator's role.
func (w *Workspaces) ensureManager(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate, owner metav1.OwnerReference) error {
	name, manager := template.Name+"-admin", template.Spec.Template.Spec.Manager
	found := &iamv1alpha2.WorkspaceRoleBinding{}
	err := w.Client.Get(ctx, client.ObjectKey{Name: name}, found)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return err
	case manager == "" && err != nil:
		return nil
	case err == nil && !ownedByWorkspace(found, template.Name):
		return notOwned(workspaceRoleBindings, found, "workspace "+template.Name)
	case manager == "":
		return client.IgnoreNotFound(w.Client.Delete(ctx, found))
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: manager}}
	labels := map[string]string{iamv1alpha2.LabelWorkspace: template.Name, iamv1alpha2.LabelUserReference: manager}
	role := rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "WorkspaceRole", Name: name}
	if err != nil {
		return ignoreExists(w.Client.Create(ctx, &iamv1alpha2.WorkspaceRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, OwnerReferences: []metav1.OwnerReference{owner}}, Subjects: subjects, RoleRef: role,
		}))
	}
	if slices.Equal(found.Subjects, subjects) && found.RoleRef == role {
		return nil
	}
	updated := found.DeepCopy()
	updated.Labels, updated.Subjects, updated.RoleRef = merged(updated.Labels, labels), subjects, role
	return w.Client.Update(ctx, updated)
}
