package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// isolationCache keeps of nodes and services only what isolation reads.
func isolationCache() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&corev1.Node{}: {Transform: func(object any) (any, error) {
			if node, ok := object.(*corev1.Node); ok {
				return &corev1.Node{ObjectMeta: slimMeta(&node.ObjectMeta, node.Annotations), Status: corev1.NodeStatus{Addresses: node.Status.Addresses}}, nil
			}
			return object, nil
		}},
		&corev1.Service{}: {Transform: func(object any) (any, error) {
			if service, ok := object.(*corev1.Service); ok {
				return &corev1.Service{ObjectMeta: slimMeta(&service.ObjectMeta, nil), Spec: corev1.ServiceSpec{Selector: service.Spec.Selector}}, nil
			}
			return object, nil
		}},
	}
}

func slimMeta(from *metav1.ObjectMeta, annotations map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: from.Namespace, Name: from.Name, UID: from.UID, ResourceVersion: from.ResourceVersion, Annotations: annotations}
}

// watchesPolicies reports whether NamespaceNetworkPolicies are reconciled. A cluster
// without isolation need not have their definition.
func (c *Controllers) watchesPolicies(mapper meta.RESTMapper) (bool, error) {
	kind := networkv1alpha1.SchemeGroupVersion.WithKind("NamespaceNetworkPolicy")
	_, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) && !c.Network.EnableNetworkPolicy {
		return false, nil
	}
	return err == nil, err
}

func (n *networkIsolation) setup(run ctrl.Manager) error {
	n.events = run.GetEventRecorder(kube.FieldManager)
	ofNamespace := enqueue(func(object client.Object) []string { return []string{object.GetNamespace()} })
	ofWorkspace := handler.EnqueueRequestsFromMapFunc(n.ofWorkspace)
	return ctrl.NewControllerManagedBy(run).Named("isolation").For(&corev1.Namespace{}).
		Watches(&networkv1alpha1.NamespaceNetworkPolicy{}, ofNamespace).
		Watches(&networkingv1.NetworkPolicy{}, ofNamespace).
		Watches(&tenantv1alpha1.Workspace{}, ofWorkspace).
		Watches(&tenantv1alpha2.WorkspaceTemplate{}, ofWorkspace).
		Watches(&corev1.Node{}, handler.EnqueueRequestsFromMapFunc(n.isolated), builder.WithPredicates(addressesChange())).
		Watches(&corev1.Service{}, handler.EnqueueRequestsFromMapFunc(n.referring), builder.WithPredicates(selectorChanges())).
		Complete(n)
}

// ofWorkspace are the namespaces of a workspace.
func (n *networkIsolation) ofWorkspace(ctx context.Context, workspace client.Object) []reconcile.Request {
	namespaces := &corev1.NamespaceList{}
	if err := n.client.List(ctx, namespaces, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace.GetName()}); err != nil {
		return nil
	}
	names := make([]string, 0, len(namespaces.Items))
	for i := range namespaces.Items {
		names = append(names, namespaces.Items[i].Name)
	}
	return named(names...)
}

// isolated are the namespaces with a policy that names the addresses of nodes.
func (n *networkIsolation) isolated(ctx context.Context, _ client.Object) []reconcile.Request {
	policies := &networkingv1.NetworkPolicyList{}
	if err := n.client.List(ctx, policies, client.MatchingLabels{reserved.LabelManagedBy: reserved.ManagedByServer}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var names []string
	for i := range policies.Items {
		if isolation.IsReserved(policies.Items[i].Name) {
			names = append(names, policies.Items[i].Namespace)
		}
	}
	slices.Sort(names)
	return named(slices.Compact(names)...)
}

// referring are the namespaces with a NamespaceNetworkPolicy that names a service.
func (n *networkIsolation) referring(ctx context.Context, service client.Object) []reconcile.Request {
	policies := &networkv1alpha1.NamespaceNetworkPolicyList{}
	if err := n.client.List(ctx, policies, client.MatchingFields{byService: service.GetNamespace() + "/" + service.GetName()}); err != nil {
		return nil
	}
	names := make([]string, 0, len(policies.Items))
	for i := range policies.Items {
		names = append(names, policies.Items[i].Namespace)
	}
	return named(names...)
}

// servicesOf are the services a policy names.
func servicesOf(policy *networkv1alpha1.NamespaceNetworkPolicy) []string {
	var peers []networkv1alpha1.NetworkPolicyPeer
	for _, rule := range policy.Spec.Ingress {
		peers = append(peers, rule.From...)
	}
	for _, rule := range policy.Spec.Egress {
		peers = append(peers, rule.To...)
	}
	var services []string
	for _, peer := range peers {
		if s := peer.ServiceSelector; s != nil {
			services = append(services, s.Namespace+"/"+s.Name)
		}
	}
	return services
}

// addressesChange lets events of nodes through that change addresses: nodes
// report their state all the time.
func addressesChange() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, also := e.ObjectNew.(*corev1.Node)
		return !ok || !also || !slices.Equal(isolation.NodeAddresses([]corev1.Node{*before}), isolation.NodeAddresses([]corev1.Node{*after}))
	}}
}

func selectorChanges() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Service)
		after, also := e.ObjectNew.(*corev1.Service)
		return !ok || !also || !equality.Semantic.DeepEqual(before.Spec.Selector, after.Spec.Selector)
	}}
}
