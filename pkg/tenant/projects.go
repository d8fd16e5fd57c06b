package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Projects creates, changes and deletes the namespaces of workspaces. Callers
// authorize the requests and check reserved names.
type Projects struct {
	Client   client.Client
	Bindings *iam.Bindings
	Now      func() time.Time
	// Names is the register of reserved names; nil for the built-in one.
	Names *reserved.Register
	// BoundNames finds the bindings of service accounts of new namespaces; nil where
	// none are created.
	BoundNames *BoundNames
}

// ErrNoCreator means that the creator of a namespace does not exist yet: kubectl apply
// writes objects in the order of a file.
var ErrNoCreator = errors.New("the creator of the namespace does not exist yet")

// creatorComes is how long is waited for that.
const creatorComes = time.Minute

// resourceNamespaces names namespaces in errors.
var resourceNamespaces = schema.GroupResource{Resource: "namespaces"}

// Get returns a namespace of a workspace, or a not-found error.
func (p *Projects) Get(ctx context.Context, workspace, name string) (*corev1.Namespace, error) {
	found := &corev1.Namespace{}
	if err := p.Client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return nil, err
	}
	if found.Labels[iamv1alpha2.LabelWorkspace] != workspace {
		return nil, apierrors.NewNotFound(resourceNamespaces, name)
	}
	return found, nil
}

// Create creates a namespace in a workspace, with its roles and the binding of
// its creator. It fails with a forbidden error for a creator without an account. A
// service account has none and needs none: it gets no role in the namespace. It fails with
// an *iam.BoundError when service accounts of the namespace would have roles on the platform,
// in the cluster or in a namespace of no workspace; roles in workspaces and
// their projects are taken away from them.
func (p *Projects) Create(ctx context.Context, workspace string, wanted *corev1.Namespace, who user.Info) (*corev1.Namespace, error) {
	creator := who.GetName()
	if problems := validation.IsDNS1123Label(wanted.Name); len(problems) > 0 {
		return nil, status.Invalid("metadata.name", "%s", problems[0])
	}
	if err := p.namespaceNameFree(ctx, wanted.Name); err != nil {
		return nil, err
	}
	template := &tenantv1alpha2.WorkspaceTemplate{}
	if err := p.Client.Get(ctx, client.ObjectKey{Name: workspace}, template); err != nil {
		return nil, err
	}
	if template.DeletionTimestamp != nil {
		return nil, apierrors.NewNotFound(tenantv1alpha2.Resource("workspacetemplates"), workspace)
	}
	if err := p.checkCreator(ctx, wanted.Name, creator); err != nil {
		return nil, err
	}
	bound, err := p.BoundNames.Bound(ctx, who, wanted.Name)
	if err != nil {
		return nil, err
	}
	if len(bound.Wide) > 0 {
		return nil, bound.Err()
	}
	// Before there is a namespace to create service accounts in, whose creator has no right
	// to these bindings.
	if err := p.Bindings.RemoveServiceAccounts(kube.AsServer(ctx), bound); err != nil {
		return nil, err
	}
	created := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name:        wanted.Name,
		Labels:      merged(wanted.Labels, map[string]string{iamv1alpha2.LabelWorkspace: workspace}),
		Annotations: merged(wanted.Annotations, map[string]string{iamv1alpha2.AnnotationCreator: creator}),
	}}
	delete(created.Labels, tenantv1alpha2.LabelNamespace) // says that the rest is there
	if err := p.Client.Create(ctx, created); err != nil {
		return nil, err
	}
	return p.settle(ctx, created)
}

// checkCreator returns a forbidden error when the creator of a namespace would get no role
// there for want of an account.
func (p *Projects) checkCreator(ctx context.Context, namespace, creator string) error {
	if isServiceAccount(creator) {
		return nil
	}
	err := p.Client.Get(ctx, client.ObjectKey{Name: creator}, &iamv1alpha2.User{})
	if apierrors.IsNotFound(err) {
		return status.Forbidden(resourceNamespaces, namespace, "the creator of a project becomes its administrator, and %q is no user of the platform", creator)
	}
	return err
}

func isServiceAccount(name string) bool {
	_, _, err := serviceaccount.SplitUsername(name)
	return err == nil
}

// Update replaces labels and annotations of a namespace of a workspace, unless check
// returns an error: see Workspaces.Update. A namespace whose label names another workspace
// moves there.
func (p *Projects) Update(ctx context.Context, workspace string, wanted *corev1.Namespace, check func(present *corev1.Namespace) error) (updated *corev1.Namespace, err error) {
	err = kube.RetryReplace(wanted, func() error {
		updated, err = p.replace(ctx, workspace, wanted, check)
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.settle(ctx, updated)
}

func (p *Projects) replace(ctx context.Context, workspace string, wanted *corev1.Namespace, check func(present *corev1.Namespace) error) (*corev1.Namespace, error) {
	present, err := p.Get(ctx, workspace, wanted.Name)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckVersion(resourceNamespaces, present, wanted); err != nil {
		return nil, err
	}
	if err := check(present); err != nil {
		return nil, err
	}
	updated := present.DeepCopy()
	to := wanted.Labels[iamv1alpha2.LabelWorkspace]
	if to == "" {
		to = workspace
	}
	if to != workspace {
		template := &tenantv1alpha2.WorkspaceTemplate{}
		if err := p.Client.Get(ctx, client.ObjectKey{Name: to}, template); err != nil {
			return nil, err
		}
		if err := p.rolesFree(ctx, updated.Name); err != nil {
			return nil, err
		}
		disown(updated)
	}
	kept := map[string]string{iamv1alpha2.LabelWorkspace: to}
	for _, label := range []string{tenantv1alpha2.LabelNamespace, corev1.LabelMetadataName} {
		if value, has := present.Labels[label]; has {
			kept[label] = value
		}
	}
	updated.Labels, updated.Annotations = merged(wanted.Labels, kept), wanted.Annotations
	// The creator of a namespace does not change.
	if creator, has := present.Annotations[iamv1alpha2.AnnotationCreator]; has && wanted.Annotations[iamv1alpha2.AnnotationCreator] == "" {
		updated.Annotations = merged(wanted.Annotations, map[string]string{iamv1alpha2.AnnotationCreator: creator})
	}
	return updated, p.Client.Update(ctx, updated)
}

// Delete deletes a namespace of a workspace.
func (p *Projects) Delete(ctx context.Context, workspace, name string) error {
	found, err := p.Get(ctx, workspace, name)
	if err != nil {
		return err
	}
	if workspace == tenantv1alpha2.SystemWorkspace {
		return status.Forbidden(resourceNamespaces, name, "the platform itself lives in it")
	}
	return p.Client.Delete(ctx, found, client.Preconditions{UID: &found.UID})
}

// settle is Ensure after a write of the namespace; see Workspaces.settle. The reconciler
// goes on where the creator does not exist yet: the write itself has succeeded.
func (p *Projects) settle(ctx context.Context, namespace *corev1.Namespace) (settled *corev1.Namespace, err error) {
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		settled, err = p.Ensure(ctx, namespace)
		return err
	})
	if errors.Is(err, ErrNoCreator) {
		return namespace, nil
	}
	return settled, err
}

// Ensure makes sure that a namespace of a workspace has its roles, and once
// that its creator administers it. It can be called again after any
// interruption. The creator's turn is over when the role admin is there, or the
// label written last: the annotation that names the creator, and the label, can
// be written by users who may do less than the role allows.
func (p *Projects) Ensure(ctx context.Context, namespace *corev1.Namespace) (*corev1.Namespace, error) {
	roles, err := bases(ctx, p.Client, "Role")
	if err != nil {
		return nil, err
	}
	if err := p.ensureCreator(ctx, namespace, roles); err != nil {
		return nil, fmt.Errorf("creator of project %s: %w", namespace.Name, err)
	}
	for n := range roles {
		role := projectRole(&roles[n], namespace.Name)
		if err := keepProjectRole(ctx, p.Client, role); apierrors.IsAlreadyExists(err) {
			slog.WarnContext(ctx, "Left a role that is not the platform's as it is", "namespace", namespace.Name, "role", role.Name)
		} else if err != nil {
			return nil, fmt.Errorf("role %s of project %s: %w", role.Name, namespace.Name, err)
		}
	}
	if _, left := namespace.Annotations[tenantv1alpha2.AnnotationFormerWorkspace]; !left && namespace.Labels[tenantv1alpha2.LabelNamespace] == namespace.Name {
		return namespace, nil
	}
	updated := &corev1.Namespace{}
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := p.Client.Get(ctx, client.ObjectKeyFromObject(namespace), updated); err != nil {
			return err
		}
		updated.Labels = merged(updated.Labels, map[string]string{tenantv1alpha2.LabelNamespace: namespace.Name})
		// It counts for the workspace it is in now.
		delete(updated.Annotations, tenantv1alpha2.AnnotationFormerWorkspace)
		delete(updated.Annotations, tenantv1alpha2.AnnotationFormerCreator)
		return p.Client.Update(ctx, updated)
	})
	return updated, err
}

// roleAdmin is the role of the creator of a project.
const roleAdmin = "admin"

// ensureCreator gives the creator of a new namespace the role admin, before the
// role itself is there.
func (p *Projects) ensureCreator(ctx context.Context, namespace *corev1.Namespace, roles []base) error {
	creator := namespace.Annotations[iamv1alpha2.AnnotationCreator]
	if creator == "" || isServiceAccount(creator) || namespace.Labels[tenantv1alpha2.LabelNamespace] == namespace.Name || p.Names.IsPlatformNamespace(namespace.Name) ||
		!slices.ContainsFunc(roles, func(one base) bool { return projectRole(&one, namespace.Name).Name == roleAdmin }) {
		return nil
	}
	err := p.Client.Get(ctx, client.ObjectKey{Namespace: namespace.Name, Name: roleAdmin}, &rbacv1.Role{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	err = p.Client.Get(ctx, client.ObjectKey{Name: creator}, &iamv1alpha2.User{})
	switch {
	case apierrors.IsNotFound(err) && p.Now().Sub(namespace.CreationTimestamp.Time) < creatorComes:
		return ErrNoCreator
	case apierrors.IsNotFound(err):
		return nil // "system", or a user who is gone
	case err != nil:
		return err
	}
	bindings := &rbacv1.RoleBindingList{}
	if err := p.Client.List(ctx, bindings, client.InNamespace(namespace.Name)); err != nil {
		return err
	}
	for n := range bindings.Items {
		if b := &bindings.Items[n]; b.RoleRef.Name == roleAdmin && slices.ContainsFunc(b.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == rbacv1.UserKind && s.Name == creator
		}) {
			return nil
		}
	}
	return p.Bindings.Add(ctx, iam.Place{Namespace: namespace.Name}, creator, roleAdmin)
}

// rolesFree returns a conflict when a namespace that comes to a workspace has
// roles of its own under the names of the platform's.
func (p *Projects) rolesFree(ctx context.Context, namespace string) error {
	roles, err := bases(ctx, p.Client, "Role")
	if err != nil {
		return err
	}
	for n := range roles {
		found := &rbacv1.Role{}
		err := p.Client.Get(ctx, client.ObjectKeyFromObject(projectRole(&roles[n], namespace)), found)
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		if err == nil && !builtInProjectRole(found) {
			return notOwned(projectRoles, found, "the platform")
		}
	}
	return nil
}
