package controllers

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// workspaces keeps what belongs to workspaces, and finishes their deletion.
type workspaces struct {
	client client.Client
	ensure *tenant.Workspaces
	finish *tenant.Workspaces
}

func (w *workspaces) setup(run ctrl.Manager) error {
	itself := func(object client.Object) []string { return []string{object.GetName()} }
	return completeFair(ctrl.NewControllerManagedBy(run).Named("workspaces").For(&tenantv1alpha2.WorkspaceTemplate{}).
		Watches(&tenantv1alpha1.Workspace{}, enqueue(itself)).
		Watches(&iamv1alpha2.WorkspaceRole{}, enqueue(label(iamv1alpha2.LabelWorkspace))).
		Watches(&iamv1alpha2.RoleBase{}, handler.EnqueueRequestsFromMapFunc(w.all)), w, byName, keyBudget)
}

// all are all workspaces: what is copied into each has changed.
func (w *workspaces) all(ctx context.Context, _ client.Object) []reconcile.Request {
	templates := &metav1.PartialObjectMetadataList{}
	templates.SetGroupVersionKind(tenantv1alpha2.SchemeGroupVersion.WithKind("WorkspaceTemplateList"))
	if err := w.finish.Client.List(ctx, templates); err != nil {
		return nil // the workspaces come by themselves when Kubernetes does
	}
	var names []string
	for n := range templates.Items {
		names = append(names, templates.Items[n].Name)
	}
	return named(names...)
}

// Reconcile implements reconcile.Reconciler.
func (w *workspaces) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	template := &tenantv1alpha2.WorkspaceTemplate{}
	err := w.client.Get(ctx, request.NamespacedName, template)
	switch {
	case apierrors.IsNotFound(err):
		return reconcile.Result{}, w.release(ctx, request)
	case err != nil:
		return reconcile.Result{}, err
	case template.DeletionTimestamp != nil:
		return reconcile.Result{}, w.finish.Finish(ctx, template)
	}
	if updated := template.DeepCopy(); iam.AddFinalizer(updated, tenantv1alpha2.FinalizerWorkspaceTemplate) {
		// The event of this change brings us here again.
		return reconcile.Result{}, ignoreConflict(w.client.Update(ctx, updated))
	}
	if err := w.release(ctx, request); err != nil {
		return reconcile.Result{}, err
	}
	return again(w.ensure.Ensure(ctx, template))
}

// release lets a workspace that somebody deletes go: it is made anew when
// there is a template.
func (w *workspaces) release(ctx context.Context, request reconcile.Request) error {
	workspace := &tenantv1alpha1.Workspace{}
	if err := w.client.Get(ctx, request.NamespacedName, workspace); err != nil || workspace.DeletionTimestamp == nil {
		return client.IgnoreNotFound(err)
	}
	return iam.Release(ctx, w.finish.Client, workspace)
}

// projects keeps the roles of the namespaces of workspaces, makes those anew that are
// deleted, and lets namespaces go that KubeSphere held.
type projects struct {
	client client.Client
	live   client.Client
	ensure *tenant.Projects
}

func (p *projects) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("projects").For(&corev1.Namespace{}).
		Watches(&iamv1alpha2.RoleBase{}, handler.EnqueueRequestsFromMapFunc(p.all)).
		Watches(&rbacv1.Role{}, enqueue(inNamespace), builder.WithPredicates(deletions())), p, byNamespace(p.client), sharedBudget)
}

// inNamespace is the namespace an object is in.
func inNamespace(object client.Object) []string { return []string{object.GetNamespace()} }

// deletions lets deletions through: of roles whatever their annotations say, which may have
// been changed before. A role that was changed on purpose stays as it is.
func deletions() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc:  func(event.CreateEvent) bool { return false },
		UpdateFunc:  func(event.UpdateEvent) bool { return false },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

func (p *projects) all(ctx context.Context, _ client.Object) []reconcile.Request {
	namespaces := &metav1.PartialObjectMetadataList{}
	namespaces.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := p.live.List(ctx, namespaces, client.HasLabels{iamv1alpha2.LabelWorkspace}); err != nil {
		return nil // the namespaces come by themselves when Kubernetes does
	}
	var names []string
	for n := range namespaces.Items {
		names = append(names, namespaces.Items[n].Name)
	}
	return named(names...)
}

// Reconcile implements reconcile.Reconciler.
func (p *projects) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	namespace := &corev1.Namespace{}
	if err := p.client.Get(ctx, request.NamespacedName, namespace); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if namespace.DeletionTimestamp != nil {
		return reconcile.Result{}, iam.Release(ctx, p.live, namespace.DeepCopy())
	}
	workspace := namespace.Labels[iamv1alpha2.LabelWorkspace]
	if workspace == "" {
		return reconcile.Result{}, nil
	}
	template := &tenantv1alpha2.WorkspaceTemplate{}
	if err := p.client.Get(ctx, client.ObjectKey{Name: workspace}, template); err != nil || template.DeletionTimestamp != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	_, err := p.ensure.Ensure(ctx, namespace)
	switch {
	case errors.Is(err, tenant.ErrNoCreator):
		return reconcile.Result{RequeueAfter: time.Second}, nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return reconcile.Result{}, nil // its roles are deleted with it
	}
	return again(err)
}

// quotas distributes the quotas of workspaces among their namespaces.
type quotas struct {
	client client.Client
	quotas *tenant.Quotas
}

func (q *quotas) setup(run ctrl.Manager) error {
	return completeFair(ctrl.NewControllerManagedBy(run).Named("quotas").For(&quotav1alpha2.ResourceQuota{}).
		Watches(&corev1.ResourceQuota{}, enqueue(label(tenant.LabelQuota))).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(q.ofWorkspace), builder.WithPredicates(quotaChanges())), q, q.workspace, quotaBudget)
}

// quotaBudget lets few distributions of quotas start: each may write all parts of a quota.
var quotaBudget = budget{perSecond: 5, burst: 50}

// workspace returns the workspace of a quota. Quotas that do not exist any more share the
// tenant "".
func (q *quotas) workspace(ctx context.Context, request reconcile.Request) string {
	quota := &quotav1alpha2.ResourceQuota{}
	if err := q.client.Get(ctx, request.NamespacedName, quota); err != nil {
		return ""
	}
	return tenant.QuotaWorkspace(quota)
}

// quotaChanges lets events of namespaces through by which they count for other quotas: all
// others would copy the quotas of their workspace for nothing.
func quotaChanges() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetLabels()[iamv1alpha2.LabelWorkspace] != e.ObjectNew.GetLabels()[iamv1alpha2.LabelWorkspace] ||
			(e.ObjectOld.GetDeletionTimestamp() == nil) != (e.ObjectNew.GetDeletionTimestamp() == nil)
	}}
}

// ofWorkspace are the quotas a namespace counts for.
func (q *quotas) ofWorkspace(ctx context.Context, namespace client.Object) []reconcile.Request {
	workspace := namespace.GetLabels()[iamv1alpha2.LabelWorkspace]
	found := &quotav1alpha2.ResourceQuotaList{}
	if workspace == "" || q.client.List(ctx, found, client.MatchingFields{byWorkspace: workspace}, client.UnsafeDisableDeepCopy) != nil {
		return nil
	}
	var names []string
	for n := range found.Items { // of the cache, which are not changed
		names = append(names, found.Items[n].Name)
	}
	return named(names...)
}

// Reconcile implements reconcile.Reconciler.
func (q *quotas) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	quota := &quotav1alpha2.ResourceQuota{}
	err := q.client.Get(ctx, request.NamespacedName, quota)
	if apierrors.IsNotFound(err) || err == nil && quota.DeletionTimestamp != nil {
		if err == nil {
			err = iam.Release(ctx, q.client, quota.DeepCopy())
		}
		if client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, err
		}
		return again(q.quotas.Clear(ctx, request.Name))
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	return again(q.quotas.Distribute(ctx, quota.DeepCopy()))
}
