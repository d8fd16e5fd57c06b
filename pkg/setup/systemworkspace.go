package setup

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// systemWorkspaceKey is the key of the marker that says that the workspace of
// the platform was made: what an operator changes later stays.
const systemWorkspaceKey = "systemWorkspace"

// systemWorkspace creates the workspace of the platform and puts the namespaces
// of Kubernetes and of the platform into it, once in the life of a cluster. A
// workspace that is there, and namespaces that have one, stay as they are.
func (s *Setup) systemWorkspace(ctx context.Context) error {
	done := &corev1.ConfigMap{}
	if err := s.Client.Get(ctx, client.ObjectKey{Namespace: ours(marker).Namespace, Name: marker}, done); err != nil || done.Data[systemWorkspaceKey] != "" {
		return err
	}
	manager := ""
	switch err := s.Client.Get(ctx, client.ObjectKey{Name: adminName}, &iamv1alpha2.User{}); {
	case err == nil:
		manager = adminName
	case !apierrors.IsNotFound(err):
		return err
	}
	template := &tenantv1alpha2.WorkspaceTemplate{}
	err := s.Client.Get(ctx, client.ObjectKey{Name: tenantv1alpha2.SystemWorkspace}, template)
	if apierrors.IsNotFound(err) {
		template = &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{
			Name: tenantv1alpha2.SystemWorkspace, Finalizers: []string{tenantv1alpha2.FinalizerWorkspaceTemplate},
			Annotations: map[string]string{iamv1alpha2.AnnotationCreator: iamv1alpha2.CreatorSystem},
		}}
		template.Spec.Template.Spec.Manager = manager
		if err = s.create(ctx, template); err == nil {
			err = s.Client.Get(ctx, client.ObjectKeyFromObject(template), template)
		}
	}
	if err != nil {
		return err
	}
	workspaces := &tenant.Workspaces{Client: s.Acting}
	// Another replica, or the reconciler, may do the same.
	if err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return workspaces.Ensure(ctx, template) }); err != nil {
		return err
	}
	if err := s.systemNamespaces(ctx); err != nil {
		return err
	}
	if done.Data == nil {
		done.Data = make(map[string]string)
	}
	done.Data[systemWorkspaceKey] = tenantv1alpha2.SystemWorkspace
	err = s.Client.Update(ctx, done)
	if apierrors.IsConflict(err) {
		return nil // another replica was faster
	}
	return err
}

// systemNamespaces labels the namespaces with reserved names that belong to no
// workspace.
func (s *Setup) systemNamespaces(ctx context.Context) error {
	all := &corev1.NamespaceList{}
	if err := s.Acting.List(ctx, all); err != nil {
		return err
	}
	var problems []error
	for n := range all.Items {
		namespace := &all.Items[n]
		if namespace.Labels[iamv1alpha2.LabelWorkspace] != "" || namespace.DeletionTimestamp != nil || !reserved.IsReserved(reserved.Namespace, namespace.Name) {
			continue
		}
		before := namespace.DeepCopy()
		if namespace.Labels == nil {
			namespace.Labels = make(map[string]string)
		}
		namespace.Labels[iamv1alpha2.LabelWorkspace] = tenantv1alpha2.SystemWorkspace
		problems = append(problems, client.IgnoreNotFound(s.Acting.Patch(ctx, namespace, client.MergeFrom(before))))
	}
	return errors.Join(problems...)
}
