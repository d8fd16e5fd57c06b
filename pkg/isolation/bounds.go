package isolation

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Exceeds reports whether a NetworkPolicy may accept traffic the isolation
// keeps out: NetworkPolicies add up, so that one policy can open what another
// closes. It depends on the policy alone, not on the namespaces that exist
// at the moment.
func (s State) Exceeds(policy *networkingv1.NetworkPolicySpec) bool {
	if !s.Isolated() || len(policy.PolicyTypes) > 0 && !slices.Contains(policy.PolicyTypes, networkingv1.PolicyTypeIngress) {
		return false
	}
	return slices.ContainsFunc(policy.Ingress, func(rule networkingv1.NetworkPolicyIngressRule) bool {
		return len(rule.From) == 0 || slices.ContainsFunc(rule.From, s.outside)
	})
}

// outside reports whether a peer may be outside of the isolated namespace or workspace.
func (s State) outside(peer networkingv1.NetworkPolicyPeer) bool {
	switch {
	case peer.IPBlock != nil:
		return true
	case peer.NamespaceSelector == nil:
		return peer.PodSelector == nil // pods of the namespace itself
	case s.Project:
		return true
	}
	return peer.NamespaceSelector.MatchLabels[iamv1alpha2.LabelWorkspace] != s.Workspace
}
