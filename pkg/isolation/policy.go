package isolation

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

// Policy is the NetworkPolicy that isolates a namespace. Beside the namespace or
// workspace itself it accepts the namespaces of the platform that are named, and
// the addresses of nodes: kube-proxy and kube-apiserver show these to pods.
func (s State) Policy(platform []string, nodes []netip.Prefix) networkingv1.NetworkPolicySpec {
	from := []networkingv1.NetworkPolicyPeer{s.own()}
	from = append(from, platformPeers(platform)...)
	for _, node := range nodes {
		from = append(from, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: node.String()}})
	}
	return networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
		Ingress:     []networkingv1.NetworkPolicyIngressRule{{From: from}},
	}
}

// own are the pods of the narrowest isolation: those of the namespace, or else
// of the workspace. The label of the workspace may be set only by the platform's
// administrators and by whoever may create a namespace in the workspace.
func (s State) own() networkingv1.NetworkPolicyPeer {
	if s.Project {
		return networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{}}
	}
	return networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{iamv1alpha2.LabelWorkspace: s.Workspace}}}
}

// platformPeers are namespaces of the platform by name. One that belongs to the
// workspace of a tenant has the name of such a namespace and nothing else of it.
func platformPeers(names []string) []networkingv1.NetworkPolicyPeer {
	if len(names) == 0 {
		return nil
	}
	named := metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: slices.Sorted(slices.Values(names))}
	var peers []networkingv1.NetworkPolicyPeer
	for _, workspace := range []metav1.LabelSelectorRequirement{
		{Key: iamv1alpha2.LabelWorkspace, Operator: metav1.LabelSelectorOpDoesNotExist},
		{Key: iamv1alpha2.LabelWorkspace, Operator: metav1.LabelSelectorOpIn, Values: []string{tenantv1alpha2.SystemWorkspace}},
	} {
		peers = append(peers, networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{named, workspace}}})
	}
	return peers
}

// Annotations of nodes with addresses that traffic from a node has.
var nodeAddressAnnotations = []string{
	"kubesphere.io/snat-node-ips", "projectcalico.org/IPv4IPIPTunnelAddr", "projectcalico.org/IPv4VXLANTunnelAddr", "projectcalico.org/IPv6VXLANTunnelAddr",
}

// NodeAddresses are the addresses traffic from nodes has, as the fewest ranges
// that hold no other address.
func NodeAddresses(nodes []corev1.Node) []netip.Prefix {
	var all []netip.Prefix
	for n := range nodes {
		all = append(all, addressesOf(&nodes[n])...)
	}
	return aggregate(all)
}

func addressesOf(node *corev1.Node) []netip.Prefix {
	var texts []string
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			texts = append(texts, address.Address)
		}
	}
	for _, key := range nodeAddressAnnotations {
		texts = append(texts, splitList(node.Annotations[key])...)
	}
	var found []netip.Prefix
	for _, text := range texts {
		if address, err := netip.ParseAddr(text); err == nil && !address.IsUnspecified() {
			address = address.Unmap().WithZone("")
			found = append(found, netip.PrefixFrom(address, address.BitLen()))
		}
	}
	return found
}

// aggregate merges ranges that are the two halves of a larger one.
func aggregate(ranges []netip.Prefix) []netip.Prefix {
	var merged []netip.Prefix
	for _, next := range slices.Compact(slices.SortedFunc(slices.Values(ranges), comparePrefix)) {
		merged = append(merged, next)
		for len(merged) > 1 {
			last, before := merged[len(merged)-1], merged[len(merged)-2]
			if last.Bits() != before.Bits() || last.Bits() == 0 {
				break
			}
			whole := netip.PrefixFrom(before.Addr(), before.Bits()-1).Masked()
			if whole.Addr() != before.Addr() || !whole.Contains(last.Addr()) {
				break
			}
			merged = append(merged[:len(merged)-2], whole)
		}
	}
	return merged
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
