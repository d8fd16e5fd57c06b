//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	extensionsv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestBackendsAreTheAdministrators: a role of the cluster does not choose where a part of
// the platform's API is served, and no request goes to the name of another host.
func TestBackendsAreTheAdministrators(t *testing.T) {
	t.Parallel()
	asked := make(chan *http.Request, 100)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked <- r; devops(w, r) }))
	defer back.Close()
	_, text, _ := strings.Cut(back.Listener.Addr().String(), ":")
	port := int32(0)
	_, _ = fmt.Sscan(text, &port)
	c := kubernetes(t, "")
	service := func(name string, spec corev1.ServiceSpec) {
		t.Helper()
		create(t, c, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec})
	}
	ports := []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(80)}}
	service("bk-own", corev1.ServiceSpec{Ports: ports})
	service("bk-other", corev1.ServiceSpec{Ports: ports})
	service("bk-outside", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"})
	for group, name := range map[string]string{"bk-own.example.io": "bk-own", "bk-outside.example.io": "bk-outside"} {
		create(t, c, &extensionsv1alpha1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: "v1." + group},
			Spec: extensionsv1alpha1.APIServiceSpec{Group: group, Version: "v1", Endpoint: extensionsv1alpha1.Endpoint{
				Service: &extensionsv1alpha1.ServiceReference{Namespace: "default", Name: name, Port: &port},
			}},
		})
	}
	admin, manager := shared.login(t).AccessToken, user(t, "bk-manager")
	inCluster(t, "bk-manager", "cluster-admin")
	answers(t, "GET", "/api/v1/namespaces/default/services", manager, 200)
	wait.For(t, "the API of the Service to be registered", func() error {
		return expect(shared.send(t, "GET", "/kapis/bk-outside.example.io/v1/runs", admin, ""), 503)
	})
	wait.For(t, "the Service to be known", func() error {
		return expect(shared.send(t, "PATCH", "/api/v1/namespaces/default/services/bk-own", manager, `{"metadata":{"labels":{"a":"b"}}}`, media(merge)...), 403)
	})
	const services, slices = "/api/v1/namespaces/default/services", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
	outside := `{"spec":{"type":"ExternalName","externalName":"localhost"}}`
	slice := func(name string) string {
		return `{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{"name":"bk-slice","labels":{"kubernetes.io/service-name":"` + name + `"}},"addressType":"IPv4","endpoints":[{"addresses":["192.0.2.2"]}]}`
	}
	attempts(t, []attempt{
		{"the name of another host", manager, "PATCH", services + "/bk-own", outside, media(merge), 403},
		{"applied", manager, "PATCH", services + "/bk-own?fieldManager=bk&force=true", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"bk-own"},"spec":{"selector":{"a":"b"}}}`, media("application/apply-patch+yaml"), 403},
		{"a deletion, to make another", manager, "DELETE", services + "/bk-own", "", nil, 403},
		{"of all", manager, "DELETE", services + "?labelSelector=bk=none", "", nil, 403},
		{"its endpoints", manager, "PUT", "/api/v1/namespaces/default/endpoints/bk-own", `{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"bk-own"},"subsets":[{"addresses":[{"ip":"192.0.2.2"}]}]}`, nil, 403},
		{"a slice of them", manager, "POST", slices, slice("bk-own"), nil, 403},
		{"a slice of another", manager, "POST", slices + "?dryRun=All", slice("bk-other"), nil, 201},
		{"another service", manager, "PATCH", services + "/bk-other", `{"spec":{"selector":{"a":"b"}}}`, media(merge), 200},
		{"administrators choose", admin, "PATCH", services + "/bk-own", `{"metadata":{"labels":{"a":"b"}}}`, media(merge), 200},
	})
	if n := len(asked); n > 0 {
		t.Errorf("the other host got %d requests", n)
	}
}

// TestTokensForBackends: a service that is given the tokens of callers gets the bearer
// token, and no password.
func TestTokensForBackends(t *testing.T) {
	t.Parallel()
	back := httptest.NewServer(http.HandlerFunc(devops))
	defer back.Close()
	c := kubernetes(t, "")
	for group, pass := range map[string]bool{"bk-with.example.io": true, "bk-without.example.io": false} {
		create(t, c, &extensionsv1alpha1.APIService{
			ObjectMeta: metav1.ObjectMeta{Name: "v1." + group},
			Spec:       extensionsv1alpha1.APIServiceSpec{Group: group, Version: "v1", Endpoint: extensionsv1alpha1.Endpoint{URL: back.URL, PassAuthorization: pass}},
		})
	}
	const with, without = "/kapis/bk-with.example.io/v1/runs", "/kapis/bk-without.example.io/v1/runs"
	admin := shared.login(t).AccessToken
	for path, want := range map[string]string{with: "Bearer " + admin, without: ""} {
		wait.For(t, path, func() error { return expect(shared.send(t, "GET", path, admin, ""), 200) })
		if got := decode[backendSaw](t, shared.send(t, "GET", path, admin, "")); got.Header.Get("Authorization") != want {
			t.Errorf("%s: the back end is given %q", path, got.Header.Get("Authorization"))
		}
	}
	basic := shared.get(t, with, func(r *http.Request) { r.SetBasicAuth("admin", adminPassword) })
	if got := decode[backendSaw](t, basic); basic.code != 200 || got.Header.Get("Authorization") != "" {
		t.Errorf("a password: %d, %q", basic.code, got.Header.Get("Authorization"))
	}
}

// TestReadsThroughPods: who may read all objects sends no requests to the applications.
func TestReadsThroughPods(t *testing.T) {
	t.Parallel()
	workspace(t, "bk-reads")
	viewer, operator, named, all := user(t, "bk-viewer"), user(t, "bk-operator"), user(t, "bk-named"), user(t, "bk-all")
	inNamespace(t, "bk-viewer", "bk-reads-project", "viewer")
	inNamespace(t, "bk-operator", "bk-reads-project", "operator")
	inCluster(t, "bk-all", "cluster-viewer")
	c := kubernetes(t, "")
	create(t, c, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "bk-reads-project", Name: "bk-proxy"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"services/proxy", "pods"}, Verbs: []string{"get", "list"}}}})
	inNamespace(t, "bk-named", "bk-reads-project", "bk-proxy")
	const project = "/api/v1/namespaces/bk-reads-project"
	for _, token := range []string{viewer, operator, named, all} {
		answers(t, "GET", project+"/pods", token, 200)
	}
	upgrade := []option{header("Connection", "Upgrade"), header("Upgrade", "websocket")}
	attempts(t, []attempt{
		{"a viewer at a service", viewer, "GET", project + "/services/a/proxy/", "", nil, 403},
		{"at a pod", viewer, "GET", project + "/pods/a/proxy/admin?delete=1", "", nil, 403},
		{"with an upgrade", viewer, "GET", project + "/pods/a/proxy/", "", upgrade, 403},
		{"by HEAD", viewer, "HEAD", project + "/pods/a/proxy/", "", nil, 403},
		{"a viewer of the cluster", all, "GET", project + "/services/a/proxy/", "", nil, 403},
		{"an operator", operator, "GET", project + "/services/a/proxy/", "", nil, 503},
		{"who is named the subresource, without create", named, "GET", project + "/services/a/proxy/", "", nil, 403},
		{"and no other", named, "GET", project + "/pods/a/proxy/", "", nil, 403},
	})
}
