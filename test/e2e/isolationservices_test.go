//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
)

// TestServicesOfIsolationExceptions: a NamespaceNetworkPolicy showed its author which pods a
// service of another tenant selects, and whether there is such a service.
func TestServicesOfIsolationExceptions(t *testing.T) {
	t.Parallel()
	x, hidden := newTenancy(t, "pisosvc"), newTenancy(t, "pisosvc-hidden")
	service := fields{"metadata": fields{"name": "hidden"}, "spec": fields{"selector": fields{"app": "hidden"}, "ports": []fields{{"port": 80}}}}
	hidden.operator.must(t, 201, "POST", "/api/v1/namespaces/"+hidden.project+"/services", service)
	exceptions := "/apis/network.kubesphere.io/v1alpha1/namespaces/" + x.project + "/namespacenetworkpolicies"
	exception := func(name string, spec fields) fields {
		return fields{"apiVersion": networkv1alpha1.SchemeGroupVersion.String(), "kind": "NamespaceNetworkPolicy", "metadata": fields{"name": name}, "spec": spec}
	}
	x.admin.must(t, 201, "POST", exceptions, exception("spy-later", fields{"ingress": []fields{}}))
	for _, name := range []string{"hidden", "missing"} {
		spec := fields{"ingress": []fields{{"from": []fields{{"service": fields{"namespace": hidden.project, "name": name}}}}}}
		x.admin.must(t, 403, "POST", exceptions, exception("spy-"+name, spec))
		x.admin.answersPatch(t, 403, exceptions+"/spy-later", `{"spec":{"ingress":[{"from":[{"service":{"namespace":"`+hidden.project+`","name":"`+name+`"}}]}]}}`)
		past := &networkv1alpha1.NamespaceNetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: x.project, Name: "past-" + name}, Spec: networkv1alpha1.NamespaceNetworkPolicySpec{
			Ingress: []networkv1alpha1.NetworkPolicyIngressRule{{From: []networkv1alpha1.NetworkPolicyPeer{{ServiceSelector: &networkv1alpha1.ServiceSelector{Namespace: hidden.project, Name: name}}}}},
		}}
		create(t, kubernetes(t, ""), past)
		condition(t, x.project, past.Name, metav1.ConditionTrue, "PeersLeftOut")
		policy(t, x.project, "nsnp-"+past.Name, func(p *networkingv1.NetworkPolicy) error {
			if len(p.Spec.Ingress) != 0 {
				return fmt.Errorf("it shows a service of another workspace: %+v", p.Spec)
			}
			return nil
		})
	}
	// Ports are changed as before.
	x.admin.answersPatch(t, 200, exceptions+"/spy-later", `{"spec":{"ingress":[{"ports":[{"port":80}],"from":[{"namespace":{"name":"`+hidden.project+`"}}]}]}}`)
}
