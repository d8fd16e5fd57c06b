package kubeproxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

func parsed(t *testing.T, method, target string) *request.Info {
	t.Helper()
	info, err := request.Parse(httptest.NewRequest(method, target, nil))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestGuards: which requests are looked into.
func TestGuards(t *testing.T) {
	for target, want := range map[string]bool{
		"POST /apis/rbac.authorization.k8s.io/v1/namespaces/n/roles": true, "PATCH /apis/rbac.authorization.k8s.io/v1/clusterroles/r": true,
		"PUT /apis/rbac.authorization.k8s.io/v1beta1/namespaces/n/rolebindings/b": true, "DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/r": false,
		"GET /apis/rbac.authorization.k8s.io/v1/clusterroles/r": false, "POST /apis/iam.kubesphere.io/v1alpha2/groupbindings": true,
		"PATCH /api/v1/namespaces/n": true, "PUT /api/v1/namespaces/n/status": true, "PUT /api/v1/namespaces/n/finalize": true,
		"POST /api/v1/namespaces/n/pods": false, "PATCH /apis/other.io/v1/roles/r": false,
		// Below /kapis is the same object.
		"POST /kapis/rbac.authorization.k8s.io/v1/namespaces/n/roles": true,
		"POST /apis/iam.kubesphere.io/v1alpha2/groups":                true, "DELETE /apis/iam.kubesphere.io/v1alpha2/groups/g": false,
		"PUT /api/v1/namespaces/n/limitranges/l": true,
		// Deleting protected quotas and limits is looked into by guardsDeletion.
		"PATCH /api/v1/namespaces/n/resourcequotas/q/status": true, "DELETE /api/v1/namespaces/n/limitranges": false, "GET /api/v1/namespaces/n/resourcequotas": false,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := guards(parsed(t, method, path)); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
	for target, want := range map[string]bool{
		"GET /api/v1/namespaces": true, "GET /api/v1/namespaces?watch=1": true, "GET /api/v1/watch/namespaces": true, "GET /api/v1/namespaces/n": false,
		"GET /api/v1/namespaces?fieldSelector=metadata.name%3Dn": true, "GET /api/v1/namespaces/n/pods": false, "GET /apis/x/v1/namespaces": false,
	} {
		method, path, _ := strings.Cut(target, " ")
		if got := listsNamespaces(parsed(t, method, path)); got != want {
			t.Errorf("%s lists namespaces: %v", target, got)
		}
	}
}

// TestReveals: whoever could read or write these would be somebody else.
func TestReveals(t *testing.T) {
	p := &Proxy{rights: nothing{}}
	for target, want := range map[string]bool{
		"GET users": false, "GET sessions": false, "POST sessions": false, "GET personalaccesstokens": false, "POST personalaccesstokens": false,
		"POST deviceauthorizations": false, "POST consents": false, "GET groups": true, "GET loginrecords": true, "POST loginrecords": false,
	} {
		method, resource, _ := strings.Cut(target, " ")
		info := parsed(t, method, "/apis/iam.kubesphere.io/v1alpha2/"+resource)
		if err := p.reveal(t.Context(), &user.DefaultInfo{Name: "jane"}, info); (err == nil) != want {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// TestPasswordsByTokens: a password lasts longer than a token, and is for more.
func TestPasswordsByTokens(t *testing.T) {
	account := func(password, display string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "a"}, "spec": map[string]any{"password": password, "displayName": display}}}
	}
	p, info := &Proxy{rights: &authz.RBAC{All: true}}, parsed(t, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/a")
	person := &user.DefaultInfo{Name: "admin"}
	token := &user.DefaultInfo{Name: "admin", Extra: map[string][]string{authz.ExtraScopes: {"all"}}}
	for _, test := range []struct {
		name  string
		who   user.Info
		after *unstructured.Unstructured
		may   bool
	}{
		{"a person", person, account("new", "A"), true},
		{"a token", token, account("new", "A"), false},
		{"a token, another field", token, account("old", "B"), true},
	} {
		if err := p.permit(t.Context(), test.who, info, account("old", "A"), test.after); (err == nil) != test.may {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// nothing are the rights of who has none that matter.
type nothing struct{ Rights }

func (nothing) Names() *reserved.Register { return nil }

func (nothing) Administers(context.Context, user.Info) (bool, error) { return false, nil }

func (nothing) Covers(_ context.Context, _ user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	return rules, nil
}

// TestPinned: what is written is what was looked at.
func TestPinned(t *testing.T) {
	object := func(version string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "a", "resourceVersion": version}}}
	}
	for _, test := range []struct{ name, method, media, body, want string }{
		{"an update", "PUT", "application/vnd.kubernetes.protobuf", "k8s", `{"metadata":{"name":"a","resourceVersion":"7"}}`},
		{"a JSON patch", "PATCH", "application/json-patch+json", `[{"op":"remove","path":"/x"}]`, `[{"op":"test","path":"/metadata/resourceVersion","value":"7"},{"op":"remove","path":"/x"}]`},
		{"another patch", "PATCH", "application/merge-patch+json", `{"a":1}`, `{"a":1,"metadata":{"resourceVersion":"7"}}`},
		{"an apply", "PATCH", "application/apply-patch+yaml", "a: 1", `{"a":1,"metadata":{"resourceVersion":"7"}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/", nil)
			r.Header.Set("Content-Type", test.media)
			got, err := pinned(r, []byte(test.body), object("7"), object("8"))
			if err != nil || string(got) != test.want {
				t.Errorf("%s, %v", got, err)
			}
			if test.method == "PUT" && r.Header.Get("Content-Type") != "application/json" {
				t.Error("the outcome is JSON")
			}
		})
	}
	r := httptest.NewRequest(http.MethodPatch, "/", nil)
	r.Header.Set("Content-Type", "application/json-patch+json; charset=utf-8")
	if _, err := pinned(r, []byte(`{}`), object("7"), object("7")); err == nil {
		t.Error("no list of operations")
	}
}

// TestFilteredNamespaces: lists, tables and watches show what is seen.
func TestFilteredNamespaces(t *testing.T) {
	seen := authz.Visible{Names: sets.New("a")}
	for name, texts := range map[string][2]string{
		"a list":   {`{"kind":"NamespaceList","metadata":{},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`, `{"items":[{"metadata":{"name":"a"}}],"kind":"NamespaceList","metadata":{}}`},
		"a table":  {`{"kind":"Table","metadata":{},"rows":[{"cells":["b"],"object":{"metadata":{"name":"b"}}},{"cells":["a"],"object":{"metadata":{"name":"a"}}}]}`, `{"kind":"Table","metadata":{},"rows":[{"cells":["a"],"object":{"metadata":{"name":"a"}}}]}`},
		"no rows":  {`{"metadata":{},"rows":[{"cells":["a"]}]}`, `{"metadata":{},"rows":[]}`},
		"no items": {`{"metadata":{},"items":null}`, `{"items":[],"metadata":{}}`},
	} {
		if got, err := filteredList(strings.NewReader(texts[0]), seen); err != nil || string(got) != texts[1] {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if _, err := filteredList(strings.NewReader("protobuf"), seen); err == nil {
		t.Error("what cannot be read is not shown")
	}
}
