package setup

import (
	"context"
	"errors"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// systemWorkspaceMarker is the ConfigMap that says that the workspace of the
// platform was made: what an operator changes later stays.
const systemWorkspaceMarker = "ks-apiserver-system-workspace"

// systemWorkspace creates the workspace of the platform and puts the namespaces
// of Kubernetes and of the platform into it, once in the life of a cluster. A
// workspace that is there, and namespaces that have one, stay as they are. The
// server works without: an existing cluster that does not take the workspace is
// asked again at the next start.
func (s *Setup) systemWorkspace(ctx context.Context) error {
	done := &corev1.ConfigMap{ObjectMeta: ours(systemWorkspaceMarker)}
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(done), &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		return err
	}
	template, err := s.systemTemplate(ctx)
	if err == nil {
		// Another replica, or the reconciler, may do the same.
		err = retry.RetryOnConflict(retry.DefaultBackoff, func() error { return (&tenant.Workspaces{Client: s.Client}).Ensure(ctx, template) })
	}
	if apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) || apierrors.IsConflict(err) {
		slog.WarnContext(ctx, "Failed to create the workspace of the platform", "workspace", tenantv1alpha2.SystemWorkspace, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.systemNamespaces(ctx); err != nil {
		return err
	}
	return s.create(ctx, done)
}

// systemTemplate is the template of the workspace of the platform, which user
// admin manages.
func (s *Setup) systemTemplate(ctx context.Context) (*tenantv1alpha2.WorkspaceTemplate, error) {
	template := &tenantv1alpha2.WorkspaceTemplate{}
	err := s.Client.Get(ctx, client.ObjectKey{Name: tenantv1alpha2.SystemWorkspace}, template)
	if !apierrors.IsNotFound(err) {
		return template, err
	}
	template = &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{
		Name: tenantv1alpha2.SystemWorkspace, Finalizers: []string{tenantv1alpha2.FinalizerWorkspaceTemplate},
		Annotations: map[string]string{iamv1alpha2.AnnotationCreator: iamv1alpha2.CreatorSystem},
	}}
	err = s.Client.Get(ctx, client.ObjectKey{Name: adminName}, &iamv1alpha2.User{})
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err == nil {
		template.Spec.Template.Spec.Manager = adminName
	}
	if err := s.create(ctx, template); err != nil {
		return nil, err
	}
	return template, s.Client.Get(ctx, client.ObjectKeyFromObject(template), template)
}

// systemNamespaces labels the namespaces of the platform that belong to no
// workspace.
func (s *Setup) systemNamespaces(ctx context.Context) error {
	all := &corev1.NamespaceList{}
	if err := s.Client.List(ctx, all); err != nil {
		return err
	}
	var problems []error
	for n := range all.Items {
		namespace := &all.Items[n]
		if namespace.Labels[iamv1alpha2.LabelWorkspace] != "" || namespace.DeletionTimestamp != nil || !s.Names.IsPlatformNamespace(namespace.Name) {
			continue
		}
		before := namespace.DeepCopy()
		if namespace.Labels == nil {
			namespace.Labels = make(map[string]string)
		}
		namespace.Labels[iamv1alpha2.LabelWorkspace] = tenantv1alpha2.SystemWorkspace
		problems = append(problems, client.IgnoreNotFound(s.Client.Patch(ctx, namespace, client.MergeFrom(before))))
	}
	return errors.Join(problems...)
}
