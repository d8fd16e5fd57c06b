package isolation

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
)

// Convert makes the specification of a NetworkPolicy of a
// NamespaceNetworkPolicy. Problems say which peers are left out and why; a rule
// none of whose peers is left is left out as well, since without peers it would
// allow everything. In the namespace of an isolated workspace a policy allows no
// traffic from outside the workspace, whatever it says.
func (s State) Convert(policy *networkv1alpha1.NamespaceNetworkPolicy, services Services) (spec networkingv1.NetworkPolicySpec, problems []string, err error) {
	c := converter{state: s, services: services}
	spec.PolicyTypes = slices.Clone(policy.Spec.PolicyTypes)
	if len(spec.PolicyTypes) == 0 {
		spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(policy.Spec.Egress) > 0 {
			spec.PolicyTypes = append(spec.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	}
	for n, rule := range policy.Spec.Ingress {
		peers, keep, err := c.peers(fmt.Sprintf("spec.ingress[%d].from", n), rule.From, s.WorkspaceWide)
		if err != nil {
			return spec, nil, err
		}
		if keep {
			spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{Ports: withProtocol(rule.Ports), From: peers})
		}
	}
	for n, rule := range policy.Spec.Egress {
		peers, keep, err := c.peers(fmt.Sprintf("spec.egress[%d].to", n), rule.To, false)
		if err != nil {
			return spec, nil, err
		}
		if keep {
			spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{Ports: withProtocol(rule.Ports), To: peers})
		}
	}
	if slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress) {
		spec.Egress = append(spec.Egress, nameResolution())
	}
	return spec, c.problems, nil
}

// withProtocol names the protocol Kubernetes takes where there is none, so that
// what is stored equals what was written.
func withProtocol(ports []networkingv1.NetworkPolicyPort) []networkingv1.NetworkPolicyPort {
	ports = slices.Clone(ports)
	tcp := corev1.ProtocolTCP
	for n := range ports {
		if ports[n].Protocol == nil {
			ports[n].Protocol = &tcp
		}
	}
	return ports
}

type converter struct {
	state    State
	services Services
	problems []string
}

// peers converts the peers of a rule. It reports whether the rule is kept.
func (c *converter) peers(field string, peers []networkv1alpha1.NetworkPolicyPeer, bounded bool) (converted []networkingv1.NetworkPolicyPeer, keep bool, err error) {
	if len(peers) == 0 {
		if bounded {
			return []networkingv1.NetworkPolicyPeer{State{Workspace: c.state.Workspace}.own()}, true, nil
		}
		return nil, true, nil
	}
	for n := range peers {
		one, problem, err := c.peer(&peers[n], bounded)
		if err != nil {
			return nil, false, err
		}
		if problem != "" {
			c.problems = append(c.problems, fmt.Sprintf("%s[%d]: %s", field, n, problem))
			continue
		}
		converted = append(converted, one)
	}
	return converted, len(converted) > 0, nil
}

func (c *converter) peer(peer *networkv1alpha1.NetworkPolicyPeer, bounded bool) (converted networkingv1.NetworkPolicyPeer, problem string, err error) {
	namespace, service, block := peer.NamespaceSelector, peer.ServiceSelector, peer.IPBlock
	switch {
	case namespace != nil && service == nil && block == nil:
		converted.NamespaceSelector = c.namespace(namespace.Name, bounded)
	case service != nil && namespace == nil && block == nil:
		found, err := c.services(service.Namespace, service.Name)
		switch {
		case err != nil:
			return converted, "", err
		case found == nil:
			return converted, fmt.Sprintf("services %q not found in namespace %q, or not of the workspace of the policy", service.Name, service.Namespace), nil
		case len(found.Spec.Selector) == 0:
			return converted, fmt.Sprintf("service %q in namespace %q selects no pods", service.Name, service.Namespace), nil
		}
		converted.NamespaceSelector = c.namespace(service.Namespace, bounded)
		converted.PodSelector = &metav1.LabelSelector{MatchLabels: found.Spec.Selector}
	case block != nil && namespace == nil && service == nil:
		if bounded {
			return converted, fmt.Sprintf("workspace %q is isolated from other addresses", c.state.Workspace), nil
		}
		converted.IPBlock = block
	default:
		return converted, "exactly one of namespace, service and ipBlock must be set", nil
	}
	return converted, "", nil
}

// namespace selects a namespace by the label Kubernetes keeps, and within the
// workspace if traffic is bounded: another workspace may get a namespace of that
// name.
func (c *converter) namespace(name string, bounded bool) *metav1.LabelSelector {
	labels := map[string]string{corev1.LabelMetadataName: name}
	if bounded {
		labels[iamv1alpha2.LabelWorkspace] = c.state.Workspace
	}
	return &metav1.LabelSelector{MatchLabels: labels}
}

// Addresses the DNS cache of nodes has, by how it is installed.
var nodeLocalDNS = []string{"169.254.20.10/32", "169.254.25.10/32"}

// nameResolution allows pods to resolve names, without which hardly anything
// else can be reached.
func nameResolution() networkingv1.NetworkPolicyEgressRule {
	port, udp, tcp := intstr.FromInt32(53), corev1.ProtocolUDP, corev1.ProtocolTCP
	rule := networkingv1.NetworkPolicyEgressRule{
		Ports: []networkingv1.NetworkPolicyPort{{Protocol: &udp, Port: &port}, {Protocol: &tcp, Port: &port}},
		To:    []networkingv1.NetworkPolicyPeer{{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem}}}},
	}
	for _, address := range nodeLocalDNS {
		rule.To = append(rule.To, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: address}})
	}
	return rule
}

func splitList(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}
