package tenant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Delete deletes a workspace, and its namespaces unless they are orphaned. What
// was decided is written down first, so that an interruption changes nothing.
func (w *Workspaces) Delete(ctx context.Context, name string, orphan bool) error {
	if name == tenantv1alpha2.SystemWorkspace {
		return status.Forbidden(tenantv1alpha2.Resource("workspacetemplates"), name, "the platform itself lives in it")
	}
	template := &tenantv1alpha2.WorkspaceTemplate{}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() (err error) {
		if template, err = w.Get(ctx, name); err != nil || template.DeletionTimestamp != nil {
			return err
		}
		propagation := string(metav1.DeletePropagationBackground)
		if orphan {
			propagation = string(metav1.DeletePropagationOrphan)
		}
		template.Annotations = merged(template.Annotations, map[string]string{tenantv1alpha2.AnnotationDeletionPropagation: propagation})
		if !slices.Contains(template.Finalizers, tenantv1alpha2.FinalizerWorkspaceTemplate) {
			template.Finalizers = append(template.Finalizers, tenantv1alpha2.FinalizerWorkspaceTemplate)
		}
		return w.Client.Update(ctx, template)
	})
	if err != nil {
		return err
	}
	if err := w.Client.Delete(ctx, template, client.Preconditions{UID: &template.UID}); client.IgnoreNotFound(err) != nil {
		return err
	}
	if template, err = w.Get(ctx, name); err != nil {
		return client.IgnoreNotFound(err)
	}
	return w.Finish(ctx, template)
}

// Finish deletes, or lets go, what belongs to a workspace that is being
// deleted, then lets it go itself. It can be called again after any
// interruption.
func (w *Workspaces) Finish(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate) error {
	orphan, err := w.orphaned(ctx, template)
	if err != nil {
		return err
	}
	if err := w.namespaces(ctx, template, orphan); err != nil {
		return fmt.Errorf("namespaces of workspace %s: %w", template.Name, err)
	}
	of := client.MatchingLabels{iamv1alpha2.LabelWorkspace: template.Name}
	for _, kind := range []client.Object{&iamv1alpha2.WorkspaceRoleBinding{}, &iamv1alpha2.GroupBinding{}, &iamv1alpha2.WorkspaceRole{}, &quotav1alpha2.ResourceQuota{}} {
		if err := w.Client.DeleteAllOf(ctx, kind, of); err != nil {
			return fmt.Errorf("%T of workspace %s: %w", kind, template.Name, err)
		}
	}
	// Those with finalizers stay, and would be in force in a new workspace of the name.
	for _, left := range []client.ObjectList{&iamv1alpha2.WorkspaceRoleBindingList{}, &iamv1alpha2.WorkspaceRoleList{}} {
		if err := iam.RevokeLeft(ctx, w.Client, left, of); err != nil {
			return fmt.Errorf("%T of workspace %s: %w", left, template.Name, err)
		}
	}
	groups := &iamv1alpha2.GroupList{}
	if err := w.Client.List(ctx, groups, of); err != nil {
		return err
	}
	for n := range groups.Items { // their reconciler does what belongs to them
		if err := client.IgnoreNotFound(w.Client.Delete(ctx, &groups.Items[n])); err != nil {
			return err
		}
	}
	workspace := &tenantv1alpha1.Workspace{ObjectMeta: metav1.ObjectMeta{Name: template.Name}}
	if err := w.Client.Delete(ctx, workspace, client.PropagationPolicy(metav1.DeletePropagationOrphan)); client.IgnoreNotFound(err) != nil {
		return err
	}
	if err := iam.Release(ctx, w.Client, workspace); err != nil {
		return err
	}
	return iam.Release(ctx, w.Client, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: template.Name}})
}

// orphaned reports whether the namespaces of a workspace that is being deleted
// stay. It was asked for here, or with kubectl delete --cascade=orphan, which
// shows as a finalizer until Kubernetes has cut the workspace off its template.
func (w *Workspaces) orphaned(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate) (bool, error) {
	switch template.Annotations[tenantv1alpha2.AnnotationDeletionPropagation] {
	case string(metav1.DeletePropagationOrphan):
		return true, nil
	case string(metav1.DeletePropagationBackground), string(metav1.DeletePropagationForeground):
		return template.Name == tenantv1alpha2.SystemWorkspace, nil
	}
	if template.Name == tenantv1alpha2.SystemWorkspace || slices.Contains(template.Finalizers, metav1.FinalizerOrphanDependents) {
		return true, nil
	}
	workspace := &tenantv1alpha1.Workspace{}
	if err := w.Client.Get(ctx, client.ObjectKey{Name: template.Name}, workspace); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	cut := !slices.ContainsFunc(workspace.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == template.UID })
	return cut, nil
}

// namespaces deletes the namespaces of a workspace, or takes them out of it.
func (w *Workspaces) namespaces(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate, orphan bool) error {
	names, err := w.Namespaces(ctx, template.Name)
	if err != nil {
		return err
	}
	var problems []error
	for _, name := range names {
		if !orphan {
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			if err := client.IgnoreNotFound(w.Client.Delete(ctx, namespace)); err != nil {
				problems = append(problems, err)
				continue
			}
		}
		// Also a namespace that is being deleted: that takes a while, in which
		// a new workspace of the same name must not get hold of it.
		problems = append(problems, w.letGo(ctx, template, name))
	}
	return errors.Join(problems...)
}

// letGo takes a namespace out of a workspace. Until it is in another one, or gone, it goes on
// counting for the limits of the workspace and its creator: nobody makes room for further
// ones by deleting workspaces of which the namespaces stay.
func (w *Workspaces) letGo(ctx context.Context, template *tenantv1alpha2.WorkspaceTemplate, name string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		namespace := &corev1.Namespace{}
		if err := w.Client.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil {
			return client.IgnoreNotFound(err)
		}
		if namespace.Labels[iamv1alpha2.LabelWorkspace] != template.Name {
			return nil
		}
		disown(namespace)
		delete(namespace.Labels, iamv1alpha2.LabelWorkspace)
		namespace.Annotations = merged(namespace.Annotations, map[string]string{
			tenantv1alpha2.AnnotationFormerWorkspace: string(template.UID),
			tenantv1alpha2.AnnotationFormerCreator:   template.Annotations[iamv1alpha2.AnnotationCreator],
		})
		return client.IgnoreNotFound(w.Client.Update(ctx, namespace))
	})
}

// disown removes the workspace from the owners of a namespace: KubeSphere 3.x
// put it there, and Kubernetes would delete the namespace with it.
func disown(namespace *corev1.Namespace) {
	namespace.OwnerReferences = slices.DeleteFunc(namespace.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Kind == "Workspace" })
}
