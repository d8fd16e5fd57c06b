package controllers

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
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
)

// maxPolicyParts is how many rules, peers and ports a NetworkPolicy has of which the whole
// is kept: one of 1.4 MB with 700,000 empty rules takes 38 MB. None that this server makes
// has as many.
const maxPolicyParts = 50_000

// slimPolicy returns a NetworkPolicy as it is kept. A larger one counts as one that opens
// everything, which is what others are looked at for.
func slimPolicy(policy *networkingv1.NetworkPolicy) *networkingv1.NetworkPolicy {
	parts := len(policy.Spec.Ingress) + len(policy.Spec.Egress)
	for n := range policy.Spec.Ingress {
		parts += len(policy.Spec.Ingress[n].From) + len(policy.Spec.Ingress[n].Ports)
	}
	for n := range policy.Spec.Egress {
		parts += len(policy.Spec.Egress[n].To) + len(policy.Spec.Egress[n].Ports)
	}
	if parts <= maxPolicyParts {
		return policy
	}
	return &networkingv1.NetworkPolicy{ObjectMeta: policy.ObjectMeta, Spec: networkingv1.NetworkPolicySpec{
		Ingress: []networkingv1.NetworkPolicyIngressRule{{}}, Egress: []networkingv1.NetworkPolicyEgressRule{{}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	}}
}

// isolationCache keeps of nodes and services only what isolation reads, and of policies
// what has a usual size.
func isolationCache() map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&corev1.Node{}: {Transform: func(object any) (any, error) {
			if node, ok := object.(*corev1.Node); ok {
				return &corev1.Node{ObjectMeta: slimMeta(&node.ObjectMeta, node.Annotations), Status: corev1.NodeStatus{Addresses: node.Status.Addresses}}, nil
			}
			return object, nil
		}},
		&networkingv1.NetworkPolicy{}: {Transform: func(object any) (any, error) {
			if policy, ok := object.(*networkingv1.NetworkPolicy); ok {
				return slimPolicy(policy), nil
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
	mapped := handler.EnqueueRequestsFromMapFunc
	// Each controller follows the changes by which other isolation applies to a namespace.
	follow := func(b *builder.Builder, keys func(ctx context.Context, namespaces []string) []reconcile.Request) *builder.Builder {
		ofWorkspace := mapped(func(ctx context.Context, workspace client.Object) []reconcile.Request {
			return keys(ctx, n.namespacesOf(ctx, workspace.GetName()))
		})
		return b.
			Watches(&corev1.Namespace{}, mapped(func(ctx context.Context, namespace client.Object) []reconcile.Request {
				return keys(ctx, []string{namespace.GetName()})
			}), builder.WithPredicates(isolationChanges())).
			Watches(&tenantv1alpha1.Workspace{}, ofWorkspace, builder.WithPredicates(isolationChanges())).
			Watches(&tenantv1alpha2.WorkspaceTemplate{}, ofWorkspace, builder.WithPredicates(isolationChanges()))
	}
	tenant := byNamespace(n.client)
	namespaces := func(_ context.Context, names []string) []reconcile.Request { return named(names...) }
	if err := completeFair(follow(ctrl.NewControllerManagedBy(run).Named("isolation"), namespaces).
		Watches(&networkingv1.NetworkPolicy{}, mapped(isolatedBy)).
		Watches(&corev1.Node{}, mapped(n.isolated), builder.WithPredicates(addressesChange())),
		&namespaceIsolation{n}, tenant, sharedBudget); err != nil {
		return err
	}
	if err := completeFair(follow(ctrl.NewControllerManagedBy(run).Named("isolationpolicies").For(&networkv1alpha1.NamespaceNetworkPolicy{}), n.policiesIn).
		Watches(&networkingv1.NetworkPolicy{}, mapped(madeOf)).
		Watches(&corev1.Service{}, mapped(n.referring), builder.WithPredicates(selectorChanges())).
		Watches(&corev1.Namespace{}, mapped(n.referringInto), builder.WithPredicates(isolationChanges())),
		&policyIsolation{n}, tenant, sharedBudget); err != nil {
		return err
	}
	return completeFair(follow(ctrl.NewControllerManagedBy(run).Named("isolationwarnings").
		For(&networkingv1.NetworkPolicy{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})), n.networkPoliciesIn),
		&policyWarnings{n}, tenant, sharedBudget)
}

// namespacesOf are the names of the namespaces of a workspace.
func (n *networkIsolation) namespacesOf(ctx context.Context, workspace string) []string {
	namespaces := &corev1.NamespaceList{}
	if err := n.client.List(ctx, namespaces, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	names := make([]string, 0, len(namespaces.Items))
	for i := range namespaces.Items {
		names = append(names, namespaces.Items[i].Name)
	}
	return names
}

// policiesIn are the NamespaceNetworkPolicies in namespaces, and networkPoliciesIn the
// NetworkPolicies.
func (n *networkIsolation) policiesIn(ctx context.Context, namespaces []string) []reconcile.Request {
	return n.keysIn(ctx, namespaces, func() client.ObjectList { return &networkv1alpha1.NamespaceNetworkPolicyList{} })
}

func (n *networkIsolation) networkPoliciesIn(ctx context.Context, namespaces []string) []reconcile.Request {
	return n.keysIn(ctx, namespaces, func() client.ObjectList { return &networkingv1.NetworkPolicyList{} })
}

func (n *networkIsolation) keysIn(ctx context.Context, namespaces []string, newList func() client.ObjectList) []reconcile.Request {
	var requests []reconcile.Request
	for _, namespace := range namespaces {
		list := newList()
		if err := n.client.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			continue
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			if object, ok := item.(client.Object); ok {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(object)})
			}
			return nil
		})
	}
	return requests
}

// isolatedBy is the namespace a NetworkPolicy isolates, or whose policy has its name.
func isolatedBy(_ context.Context, policy client.Object) []reconcile.Request {
	if !isolation.Isolates(policy.GetName()) {
		return nil
	}
	return named(policy.GetNamespace())
}

// madeOf is the NamespaceNetworkPolicy a NetworkPolicy is made of, or whose policy has its
// name.
func madeOf(_ context.Context, policy client.Object) []reconcile.Request {
	name, found := isolation.PolicyOf(policy.GetName())
	if !found || name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: policy.GetNamespace(), Name: name}}}
}

// isolated are the namespaces with a policy that names the addresses of nodes.
func (n *networkIsolation) isolated(ctx context.Context, _ client.Object) []reconcile.Request {
	policies := &networkingv1.NetworkPolicyList{}
	if err := n.client.List(ctx, policies, client.MatchingFields{byPurpose: purposeIsolation}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var names []string
	for i := range policies.Items {
		names = append(names, policies.Items[i].Namespace)
	}
	slices.Sort(names)
	return named(slices.Compact(names)...)
}

// referring are the NamespaceNetworkPolicies that name a service, and referringInto those
// that name any in a namespace, which may have come into their workspace or left it.
func (n *networkIsolation) referring(ctx context.Context, service client.Object) []reconcile.Request {
	return n.naming(ctx, service.GetNamespace()+"/"+service.GetName())
}

func (n *networkIsolation) referringInto(ctx context.Context, namespace client.Object) []reconcile.Request {
	return n.naming(ctx, namespace.GetName()+"/")
}

func (n *networkIsolation) naming(ctx context.Context, key string) []reconcile.Request {
	policies := &networkv1alpha1.NamespaceNetworkPolicyList{}
	if err := n.client.List(ctx, policies, client.MatchingFields{byService: key}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(policies.Items))
	for i := range policies.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&policies.Items[i])})
	}
	return requests
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

// isolationChanges lets events of namespaces, workspaces and their templates through by
// which other isolation may apply to a namespace.
func isolationChanges() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		return !equality.Semantic.DeepEqual(isolationFields(e.ObjectOld), isolationFields(e.ObjectNew))
	}}
}

// isolationFields are the fields isolation.ForNamespace reads of an object.
func isolationFields(object client.Object) any {
	switch o := object.(type) {
	case *corev1.Namespace:
		value, annotated := o.Annotations[networkv1alpha1.AnnotationNetworkIsolation]
		return []any{o.Labels[iamv1alpha2.LabelWorkspace], value, annotated, o.UID}
	case *tenantv1alpha1.Workspace:
		return o.Spec.NetworkIsolation
	case *tenantv1alpha2.WorkspaceTemplate:
		return o.Spec.Template.Spec.NetworkIsolation
	}
	return object
}

func selectorChanges() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Service)
		after, also := e.ObjectNew.(*corev1.Service)
		return !ok || !also || !equality.Semantic.DeepEqual(before.Spec.Selector, after.Spec.Selector)
	}}
}
