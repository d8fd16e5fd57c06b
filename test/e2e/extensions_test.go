//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// devops is a back end: another team's service with an API and a document of its own.
func devops(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/openapi/v2":
		_, _ = w.Write([]byte(`{"swagger":"2.0","info":{"title":"devops","version":"1"},"paths":{"/kapis/devops.example.io/v1/namespaces/{namespace}/pipelines":{
			"get":{"operationId":"listPipelines","parameters":[{"in":"path","name":"namespace","type":"string","required":true}],"responses":{"200":{"description":"All."}}}}}}`))
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"path": r.RequestURI, "method": r.Method, "header": r.Header})
	}
}

type backendSaw struct {
	Path, Method string
	Header       http.Header
}

// TestExtensions: a service plugs into the API by an object, and is asked in the
// name of the caller by whoever may.
func TestExtensions(t *testing.T) {
	t.Parallel()
	back := httptest.NewServer(http.HandlerFunc(devops))
	defer back.Close()
	c := kubernetes(t, "")
	api := &extensionsv1alpha1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1.devops.example.io"},
		Spec:       extensionsv1alpha1.APIServiceSpec{Group: "devops.example.io", Version: "v1", Endpoint: extensionsv1alpha1.Endpoint{URL: back.URL}},
	}
	page := &extensionsv1alpha1.ReverseProxy{
		ObjectMeta: metav1.ObjectMeta{Name: "pages"},
		Spec: extensionsv1alpha1.ReverseProxySpec{
			Matcher: extensionsv1alpha1.Matcher{Path: "/proxy/pages/*"}, Upstream: extensionsv1alpha1.Endpoint{URL: back.URL},
			Directives: extensionsv1alpha1.Directives{StripPathPrefix: "/proxy/pages"},
		},
	}
	role := &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "pipelines-viewer"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list"}, APIGroups: []string{"devops.example.io"}, Resources: []string{"pipelines"}},
		{Verbs: []string{"get"}, NonResourceURLs: []string{"/proxy/pages/*"}},
	}}
	for _, object := range []client.Object{api, page, role} {
		create(t, c, object)
	}
	// What claims a path of ours, or is wrong, is refused where it is written or said in its status.
	both := api.DeepCopy()
	both.ObjectMeta = metav1.ObjectMeta{Name: "both"}
	both.Spec.Service = &extensionsv1alpha1.ServiceReference{Namespace: "a", Name: "b"}
	if err := c.Create(t.Context(), both); err == nil || !strings.Contains(err.Error(), "exactly one of url and service") {
		t.Errorf("two addresses: %v", err)
	}
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", users, newUser("pia", "pipelines-viewer"))
	admin.must(t, 200, "POST", users, newUser("norman", "platform-regular"))
	pia, norman := shared.as(t, "pia", passwordOf("pia")), shared.as(t, "norman", passwordOf("norman"))

	const pipelines = "/kapis/devops.example.io/v1/namespaces/kube-system/pipelines"
	wait.For(t, "the API to be served", func() error { return expect(pia.call(t, "GET", pipelines, nil), 200) })
	got := decode[backendSaw](t, pia.must(t, 200, "GET", pipelines+"?limit=5&x=a%2Fb", nil))
	if got.Path != pipelines+"?limit=5&x=a%2Fb" || got.Header.Get("X-Remote-User") != "pia" || got.Header.Get("Authorization") != "" {
		t.Errorf("the back end sees %+v", got)
	}
	signedBy(t, got.Header.Get("X-Kubesphere-Identity"), "pia", "APIService/v1.devops.example.io")
	// An assertion is no credential.
	if r := shared.get(t, pipelines, bearer(got.Header.Get("X-Kubesphere-Identity"))); r.code != 401 {
		t.Errorf("an assertion as a token: %d %s", r.code, r.body)
	}
	if r := shared.get(t, pipelines); r.code != 401 {
		t.Errorf("nobody: %d", r.code)
	}
	norman.must(t, 403, "GET", pipelines, nil)
	pia.must(t, 403, "DELETE", pipelines+"/one", nil)
	norman.must(t, 403, "GET", "/proxy/pages/index.html", nil)
	if got := decode[backendSaw](t, pia.must(t, 200, "GET", "/proxy/pages/index.html", nil)); got.Path != "/index.html" {
		t.Errorf("the path is %s", got.Path)
	}
	if got := decode[backendSaw](t, admin.must(t, 200, "POST", pipelines, fields{"kind": "Pipeline", "padding": strings.Repeat("x", 4<<20)})); got.Method != "POST" {
		t.Errorf("a large body: %+v", got)
	}
	// A back end could be given the tokens of callers: rights in a cluster do not
	// suffice to register one.
	everywhere := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "norman-cluster-admin"}, Subjects: []rbacv1.Subject{subjectUser("norman")},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
	}
	create(t, c, everywhere)
	const objects = "/extensions.kubesphere.io/v1alpha1/apiservices"
	wait.For(t, "the cluster role to take effect", func() error { return expect(norman.call(t, "GET", "/apis"+objects, nil), 200) })
	hostile := fields{
		"apiVersion": "extensions.kubesphere.io/v1alpha1", "kind": "APIService", "metadata": fields{"name": "hostile"},
		"spec": fields{"group": "hostile.io", "version": "v1", "url": back.URL, "passAuthorization": true},
	}
	norman.must(t, 403, "POST", "/apis"+objects, hostile)
	norman.must(t, 403, "POST", "/kapis"+objects, hostile)
	norman.must(t, 403, "DELETE", "/apis"+objects+"/v1.devops.example.io", nil)
	// What belongs to us stays with us.
	mine := api.DeepCopy()
	mine.ObjectMeta = metav1.ObjectMeta{Name: "v1alpha2.iam.kubesphere.io"}
	mine.Spec.Group, mine.Spec.Version = "iam.kubesphere.io", "v1alpha2"
	create(t, c, mine)
	// The table of services is replaced as a whole: the one made after it is there when it would be.
	after := api.DeepCopy()
	after.ObjectMeta = metav1.ObjectMeta{Name: "v1.after.example.io"}
	after.Spec.Group = "after.example.io"
	create(t, c, after)
	wait.For(t, "an API that was registered later", func() error { return expect(admin.call(t, "GET", "/kapis/after.example.io/v1/runs", nil), 200) })
	if r := admin.must(t, 200, "GET", users+"/pia", nil); !strings.Contains(string(r.body), "pia@example.com") {
		t.Errorf("a back end answers for users: %s", r.body)
	}

	state := func(want string) {
		t.Helper()
		wait.For(t, "the state of the API", func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(api), api); err != nil {
				return err
			}
			if api.Status.State != want || len(api.Status.Conditions) != 1 {
				return fmt.Errorf("status %+v, want %s", api.Status, want)
			}
			return nil
		})
	}
	state(extensionsv1alpha1.StateAvailable)
	for _, document := range []string{"/apidocs.json", "/openapi/v3/kapis"} {
		wait.For(t, "the document to have the operation", func() error {
			if r := shared.get(t, document); !strings.Contains(string(r.body), "listPipelines") {
				return fmt.Errorf("%s does not have it", document)
			}
			return nil
		})
	}
	back.Close()
	state(extensionsv1alpha1.StateUnavailable)
	if r := pia.call(t, "GET", pipelines, nil); r.code != 503 || r.header.Get("Retry-After") == "" {
		t.Errorf("gone: %d %s", r.code, r.body)
	}
	if err := c.Delete(t.Context(), api); err != nil {
		t.Fatal(err)
	}
	wait.For(t, "the API to be gone", func() error { return expect(pia.call(t, "GET", pipelines, nil), 404) })
	wait.For(t, "the operation to leave the document", func() error {
		if r := shared.get(t, "/apidocs.json"); strings.Contains(string(r.body), "listPipelines") {
			return fmt.Errorf("it is documented for ever")
		}
		return nil
	})
}

// signedBy checks an identity assertion as a back end does: with our public keys
// and a library that is not ours.
func signedBy(t *testing.T, text, user, audience string) {
	t.Helper()
	keys := decode[jose.JSONWebKeySet](t, shared.get(t, "/oauth/keys"))
	parsed, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	var claims jwt.Claims
	if err := parsed.Claims(keys, &claims); err != nil {
		t.Fatal(err)
	}
	if err := claims.Validate(jwt.Expected{AnyAudience: jwt.Audience{audience}, Subject: user, Time: time.Now()}); err != nil {
		t.Errorf("%+v: %v", claims, err)
	}
}
