package egress

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

func TestCluster(t *testing.T) {
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: "default"} }
	lists := 0
	var broken error
	reader := fake.NewClientBuilder().WithScheme(kubescheme.Scheme).WithObjects(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: corev1.NodeSpec{PodCIDRs: []string{"10.244.0.0/24", "fd00:10::/64"}}},
		&networkingv1.ServiceCIDR{ObjectMeta: metav1.ObjectMeta{Name: "kubernetes"}, Spec: networkingv1.ServiceCIDRSpec{CIDRs: []string{"10.96.0.0/12"}}},
		&corev1.Pod{ObjectMeta: named("elsewhere"), Status: corev1.PodStatus{PodIP: "192.168.50.1"}},
		&corev1.Pod{ObjectMeta: named("of-the-node"), Spec: corev1.PodSpec{HostNetwork: true}, Status: corev1.PodStatus{PodIP: "192.168.1.1"}},
		&corev1.Service{ObjectMeta: named("elsewhere"), Spec: corev1.ServiceSpec{ClusterIP: "192.168.60.1"}},
	).WithStatusSubresource().
		WithIndex(&corev1.Pod{}, "status.podIP", func(o client.Object) []string { return []string{o.(*corev1.Pod).Status.PodIP} }).
		WithIndex(&corev1.Service{}, "spec.clusterIP", func(o client.Object) []string { return []string{o.(*corev1.Service).Spec.ClusterIP} }).
		WithInterceptorFuncs(interceptor.Funcs{List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if _, nodes := list.(*corev1.NodeList); nodes {
				lists++
			}
			if broken != nil {
				return broken
			}
			return c.List(ctx, list, options...)
		}}).Build()
	now := time.Now()
	c := &Cluster{Reader: reader, Now: func() time.Time { return now }}
	for address, want := range map[string]bool{
		"10.244.0.9": true, "10.244.1.9": false, "fd00:10::9": true, "fd00:11::9": false, "10.96.0.1": true, "10.111.255.1": true, "10.112.0.1": false,
		"192.168.50.1": true, "192.168.1.1": false, "192.168.60.1": true, "192.168.60.2": false,
	} {
		if got, err := c.Inside(t.Context(), netip.MustParseAddr(address)); err != nil || got != want {
			t.Errorf("%s: %v %v", address, got, err)
		}
	}
	if lists != 1 {
		t.Errorf("the nodes were listed %d times", lists)
	}
	now = now.Add(2 * time.Minute)
	broken = errors.New("away")
	if _, err := c.Inside(t.Context(), netip.MustParseAddr("10.112.0.1")); !errors.Is(err, broken) {
		t.Errorf("what is not known is outside: %v", err)
	}
}
