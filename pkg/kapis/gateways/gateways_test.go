package gateways

import (
	"context"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubescheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/super-kubenetes/ks-apiserver/test/kubefake"
)

// TestClientGone: a client that goes when the router is deleted does not take
// the gateway with it.
func TestClientGone(t *testing.T) {
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(kind, meta.RESTScopeNamespace)
	for known := range kubescheme.Scheme.AllKnownTypes() {
		mapper.Add(known, meta.RESTScopeNamespace)
	}
	ctx, leave := context.WithCancel(t.Context())
	h := &Handler{Namespace: "routers"}
	h.Client = fake.NewClientBuilder().WithScheme(kubescheme.Scheme).WithRESTMapper(mapper).WithObjects(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "routers", Name: namePrefix + "a", Labels: formerly},
	}).WithInterceptorFuncs(kubefake.DisconnectOnDelete(leave)).Build()
	r := httptest.NewRequestWithContext(ctx, "POST", "/", nil)
	r.SetPathValue("namespace", "a")
	r.SetPathValue("gateway", namePrefix+"a")
	if err := h.upgrade(httptest.NewRecorder(), r); err != nil {
		t.Error(err)
	}
	gateway := &unstructured.Unstructured{}
	gateway.SetGroupVersionKind(kind)
	if err := h.Client.Get(t.Context(), h.key("a"), gateway); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
