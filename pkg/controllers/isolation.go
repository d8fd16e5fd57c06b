package controllers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// networkIsolation makes NetworkPolicies of the isolation of workspaces and
// projects, and of NamespaceNetworkPolicies. Each has a controller of its own, whose
// keys are single objects: the exceptions of a namespace, however many there are, hold
// up no isolation.
//
// What it reads may be written only by who may isolate: the annotation of a
// namespace, its label with the workspace and the specification of a workspace
// are guarded where users write them. A NetworkPolicy is its own when it has the
// label of this server and names what it is made for as its owner; its whole
// specification is written then, so that claiming to be one gains nothing.
type networkIsolation struct {
	client client.Client
	events events.EventRecorder
	config config.Network
}

// errNameTaken is when a NetworkPolicy of the name is not this server's.
var errNameTaken = errors.New("a NetworkPolicy of this name exists and is not made by this server")

// namespace returns a namespace and the isolation that applies to it, nil when there is
// none or it is being deleted.
func (n *networkIsolation) namespace(ctx context.Context, name string) (*corev1.Namespace, isolation.State, error) {
	namespace := &corev1.Namespace{}
	if err := n.client.Get(ctx, client.ObjectKey{Name: name}, namespace); err != nil || namespace.DeletionTimestamp != nil {
		return nil, isolation.State{}, client.IgnoreNotFound(err)
	}
	state, err := isolation.ForNamespace(ctx, n.client, namespace)
	if err == nil && !n.config.EnableNetworkPolicy {
		state = isolation.State{Namespace: namespace.Name, Workspace: state.Workspace, Suspended: true}
	}
	return namespace, state, err
}

// namespaceIsolation keeps the NetworkPolicies that isolate namespaces.
type namespaceIsolation struct{ *networkIsolation }

// Reconcile implements reconcile.Reconciler. The request names a namespace.
func (n *namespaceIsolation) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	namespace, state, err := n.namespace(ctx, request.Name)
	if err != nil || namespace == nil {
		return reconcile.Result{}, err
	}
	kept := ""
	if state.Isolated() {
		if kept, err = n.isolate(ctx, namespace, state); err != nil {
			return again(err)
		}
	}
	policies := &networkingv1.NetworkPolicyList{}
	if err := n.client.List(ctx, policies, client.InNamespace(namespace.Name), client.MatchingFields{byPurpose: purposeIsolation}); err != nil {
		return reconcile.Result{}, err
	}
	for i := range policies.Items {
		if policy := &policies.Items[i]; policy.Name != kept {
			if err := n.remove(ctx, policy); err != nil {
				return again(err)
			}
		}
	}
	return reconcile.Result{}, nil
}

// policyIsolation keeps the NetworkPolicies made of NamespaceNetworkPolicies.
type policyIsolation struct{ *networkIsolation }

// Reconcile implements reconcile.Reconciler. The request names a NamespaceNetworkPolicy,
// which need not exist any more.
func (n *policyIsolation) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	namespace, state, err := n.namespace(ctx, request.Namespace)
	if err != nil || namespace == nil {
		return reconcile.Result{}, err
	}
	policy := &networkv1alpha1.NamespaceNetworkPolicy{}
	err = n.client.Get(ctx, request.NamespacedName, policy)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	exists := err == nil && policy.DeletionTimestamp == nil
	if exists {
		if err := n.enforce(ctx, state, policy); err != nil {
			return again(err)
		}
	}
	if exists && !state.Suspended {
		return reconcile.Result{}, nil
	}
	made := &networkingv1.NetworkPolicy{}
	if err := n.client.Get(ctx, client.ObjectKey{Namespace: request.Namespace, Name: isolation.NameOf(request.Name)}, made); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return again(n.remove(ctx, made))
}

// remove deletes a NetworkPolicy that was made here.
func (n *networkIsolation) remove(ctx context.Context, policy *networkingv1.NetworkPolicy) error {
	if policy.DeletionTimestamp != nil || !owns(policy) {
		return nil
	}
	return client.IgnoreNotFound(n.client.Delete(ctx, policy, client.Preconditions{UID: &policy.UID}))
}

// policyWarnings warns of NetworkPolicies of others that open what isolation closes.
type policyWarnings struct{ *networkIsolation }

// Reconcile implements reconcile.Reconciler. The request names a NetworkPolicy.
func (n *policyWarnings) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	policy := &networkingv1.NetworkPolicy{}
	if err := n.client.Get(ctx, request.NamespacedName, policy); err != nil || policy.DeletionTimestamp != nil || owns(policy) {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	namespace, state, err := n.namespace(ctx, request.Namespace)
	if err != nil || namespace == nil {
		return reconcile.Result{}, err
	}
	if state.Exceeds(&policy.Spec) {
		n.events.Eventf(policy, nil, corev1.EventTypeWarning, "ExceedsNetworkIsolation", "Isolate",
			"the policy accepts traffic that the network isolation of namespace %s keeps out", state.Namespace)
	}
	return reconcile.Result{}, nil
}

// isolate keeps the policy that isolates a namespace, and returns its name: that
// of KubeSphere, or another one where that is taken, since whoever made a policy
// of that name must not have turned isolation off.
func (n *networkIsolation) isolate(ctx context.Context, namespace *corev1.Namespace, state isolation.State) (string, error) {
	nodes, err := n.nodes(ctx)
	if err != nil {
		return "", err
	}
	wanted := &networkingv1.NetworkPolicy{
		ObjectMeta: policyMeta(namespace.Name, isolation.PolicyName, metav1.OwnerReference{
			APIVersion: "v1", Kind: "Namespace", Name: namespace.Name, UID: namespace.UID,
		}),
		Spec: state.Policy(n.config.NSNPOptions.AllowedIngressNamespaces, nodes),
	}
	err = n.keep(ctx, wanted)
	if errors.Is(err, errNameTaken) {
		id, _, _ := strings.Cut(string(namespace.UID), "-")
		wanted.Name = isolation.PolicyName + "-" + id
		n.events.Eventf(namespace, nil, corev1.EventTypeWarning, "NetworkPolicyNameTaken", "Isolate",
			"NetworkPolicy %s is not made by this server; the namespace is isolated by %s", isolation.PolicyName, wanted.Name)
		err = n.keep(ctx, wanted)
	}
	if err != nil {
		return "", fmt.Errorf("isolating namespace %s: %w", namespace.Name, err)
	}
	return wanted.Name, nil
}

func (n *networkIsolation) nodes(ctx context.Context) ([]netip.Prefix, error) {
	nodes := &corev1.NodeList{}
	if err := n.client.List(ctx, nodes, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	return isolation.NodeAddresses(nodes.Items), nil
}

// enforce keeps the NetworkPolicy of a NamespaceNetworkPolicy, and says in its
// status what became of it.
func (n *networkIsolation) enforce(ctx context.Context, state isolation.State, policy *networkv1alpha1.NamespaceNetworkPolicy) error {
	if state.Suspended {
		return n.report(ctx, policy, metav1.ConditionFalse, "IsolationDisabled", "network isolation of the namespace is turned off")
	}
	spec, problems, err := state.Convert(policy, state.ReadServices(ctx, n.client))
	if err != nil {
		return err
	}
	err = n.keep(ctx, &networkingv1.NetworkPolicy{
		ObjectMeta: policyMeta(policy.Namespace, isolation.NameOf(policy.Name), metav1.OwnerReference{
			APIVersion: networkv1alpha1.SchemeGroupVersion.String(), Kind: "NamespaceNetworkPolicy", Name: policy.Name, UID: policy.UID, Controller: new(true),
		}),
		Spec: spec,
	})
	switch {
	case errors.Is(err, errNameTaken):
		return n.report(ctx, policy, metav1.ConditionFalse, "NameTaken", fmt.Sprintf("NetworkPolicy %s exists and is not made by this server", isolation.NameOf(policy.Name)))
	case apierrors.IsInvalid(err):
		return n.report(ctx, policy, metav1.ConditionFalse, "Invalid", err.Error())
	case err != nil:
		return fmt.Errorf("NamespaceNetworkPolicy %s/%s: %w", policy.Namespace, policy.Name, err)
	case len(problems) > 0:
		return n.report(ctx, policy, metav1.ConditionTrue, "PeersLeftOut", strings.Join(problems, "; "))
	}
	return n.report(ctx, policy, metav1.ConditionTrue, "Enforced", "")
}

// maxMessage bounds the message of a condition, in bytes.
const maxMessage = 4096

// report writes the condition of a policy, if it has changed. The definition
// KubeSphere installs has no status: there is nothing to write then.
func (n *networkIsolation) report(ctx context.Context, policy *networkv1alpha1.NamespaceNetworkPolicy, status metav1.ConditionStatus, reason, message string) error {
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + " …"
	}
	updated := policy.DeepCopy()
	if !meta.SetStatusCondition(&updated.Status.Conditions, metav1.Condition{
		Type: networkv1alpha1.ConditionEnforced, Status: status, Reason: reason, Message: message, ObservedGeneration: policy.Generation,
	}) {
		return nil
	}
	return client.IgnoreNotFound(n.client.Status().Patch(ctx, updated, client.MergeFrom(policy)))
}

func policyMeta(namespace, name string, owner metav1.OwnerReference) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: namespace, Name: name, Labels: map[string]string{reserved.LabelManagedBy: reserved.ManagedByServer}, OwnerReferences: []metav1.OwnerReference{owner},
	}
}

// keep creates a NetworkPolicy, or makes the one there is equal if it is this
// server's.
func (n *networkIsolation) keep(ctx context.Context, wanted *networkingv1.NetworkPolicy) error {
	found := &networkingv1.NetworkPolicy{}
	err := n.client.Get(ctx, client.ObjectKeyFromObject(wanted), found)
	if apierrors.IsNotFound(err) {
		err = n.client.Create(ctx, wanted.DeepCopy())
		if apierrors.IsAlreadyExists(err) { // the cache does not have it yet
			return apierrors.NewConflict(networkingv1.Resource("networkpolicies"), wanted.Name, err)
		}
		return err
	}
	if err != nil {
		return err
	}
	if !madeFor(found, wanted.OwnerReferences[0]) {
		return errNameTaken
	}
	if equality.Semantic.DeepEqual(found.Spec, wanted.Spec) && equality.Semantic.DeepEqual(found.OwnerReferences, wanted.OwnerReferences) {
		return nil
	}
	updated := found.DeepCopy()
	updated.Spec, updated.OwnerReferences = wanted.Spec, wanted.OwnerReferences
	return n.client.Update(ctx, updated)
}

// madeFor reports whether a NetworkPolicy was made here for an owner of this
// kind and name. One made for an earlier object of the name is brought up to date.
func madeFor(policy *networkingv1.NetworkPolicy, owner metav1.OwnerReference) bool {
	return policy.Labels[reserved.LabelManagedBy] == reserved.ManagedByServer && slices.ContainsFunc(policy.OwnerReferences, func(r metav1.OwnerReference) bool {
		return r.APIVersion == owner.APIVersion && r.Kind == owner.Kind && r.Name == owner.Name
	})
}

// owns reports whether a NetworkPolicy was made here.
func owns(policy *networkingv1.NetworkPolicy) bool {
	if !isolation.IsReserved(policy.Name) {
		return false
	}
	return madeFor(policy, metav1.OwnerReference{APIVersion: "v1", Kind: "Namespace", Name: policy.Namespace}) ||
		slices.ContainsFunc(policy.OwnerReferences, func(r metav1.OwnerReference) bool {
			return r.Kind == "NamespaceNetworkPolicy" && policy.Name == isolation.NameOf(r.Name) &&
				madeFor(policy, metav1.OwnerReference{APIVersion: networkv1alpha1.SchemeGroupVersion.String(), Kind: r.Kind, Name: r.Name})
		})
}
