package controllers

import (
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
)

// TestSlimPolicy: a policy of 1.4 MB with 700,000 empty rules took 38 MB of every replica
// that led, and 14 of them took the next one to 1 GB.
func TestSlimPolicy(t *testing.T) {
	many := make([]networkingv1.NetworkPolicyPeer, maxPolicyParts)
	for name, spec := range map[string]networkingv1.NetworkPolicySpec{
		"rules":   {Ingress: make([]networkingv1.NetworkPolicyIngressRule, maxPolicyParts+1)},
		"peers":   {Egress: []networkingv1.NetworkPolicyEgressRule{{To: many}}},
		"sources": {Ingress: []networkingv1.NetworkPolicyIngressRule{{From: many}}},
		"ports":   {Egress: []networkingv1.NetworkPolicyEgressRule{{Ports: make([]networkingv1.NetworkPolicyPort, maxPolicyParts)}}},
	} {
		slim := slimPolicy(&networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "p", UID: "u"}, Spec: spec})
		if len(slim.Spec.Ingress) != 1 || len(slim.Spec.Egress) != 1 || len(slim.Spec.Ingress[0].From)+len(slim.Spec.Egress[0].To) > 0 || slim.UID != "u" {
			t.Errorf("many %s: %d and %d rules are kept", name, len(slim.Spec.Ingress), len(slim.Spec.Egress))
		}
		if state := (isolation.State{Namespace: "n", Project: true}); !state.Exceeds(&slim.Spec) {
			t.Errorf("many %s: nobody is warned of what may open everything", name)
		}
	}
	usual := &networkingv1.NetworkPolicy{Spec: networkingv1.NetworkPolicySpec{Ingress: []networkingv1.NetworkPolicyIngressRule{{From: many[:10]}}}}
	if slimPolicy(usual) != usual {
		t.Error("a usual policy is not kept as it is")
	}
}
