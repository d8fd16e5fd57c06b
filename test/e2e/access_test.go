//go:build e2e

package e2e

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestRequestsRefused(t *testing.T) {
	t.Parallel()
	admin := shared.login(t)
	nobody := user(t, "nobody-special")
	nodes := viewer + "/nodes"
	parts := strings.Split(admin.AccessToken, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + parts[1] + "."
	for _, test := range []struct {
		name, method, path string
		opts               []option
		code               int
		reason             metav1.StatusReason
	}{
		{"no token", "GET", nodes, nil, 401, metav1.StatusReasonUnauthorized},
		{"no token on an unknown path", "GET", "/no/such/path", nil, 401, metav1.StatusReasonUnauthorized},
		{"no token for metrics", "GET", "/metrics", nil, 401, metav1.StatusReasonUnauthorized},
		{"garbage token", "GET", nodes, []option{bearer("garbage")}, 401, metav1.StatusReasonUnauthorized},
		{"empty token", "GET", nodes, []option{header("Authorization", "Bearer ")}, 401, metav1.StatusReasonUnauthorized},
		{"tampered payload", "GET", nodes, []option{bearer(parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"admin","username":"admin","token_type":"access_token"}`)) + "." + parts[2])}, 401, metav1.StatusReasonUnauthorized},
		{"tampered signature", "GET", nodes, []option{bearer(parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2])))}, 401, metav1.StatusReasonUnauthorized},
		{"alg none", "GET", nodes, []option{bearer(none)}, 401, metav1.StatusReasonUnauthorized},
		{"refresh token as bearer", "GET", nodes, []option{bearer(admin.RefreshToken)}, 401, metav1.StatusReasonUnauthorized},
		{"oversized token", "GET", nodes, []option{bearer(strings.Repeat("a.", 10<<10))}, 401, metav1.StatusReasonUnauthorized},
		{"token in the query", "GET", nodes + "?access_token=" + admin.AccessToken, nil, 401, metav1.StatusReasonUnauthorized},
		{"other scheme", "GET", nodes, []option{header("Authorization", "Digest x")}, 401, metav1.StatusReasonUnauthorized},
		{"wrong basic password", "GET", nodes, []option{func(r *http.Request) { r.SetBasicAuth("admin", "wrong") }}, 401, metav1.StatusReasonUnauthorized},
		{"bad token on a public path", "GET", "/kapis/version", []option{bearer("garbage")}, 401, metav1.StatusReasonUnauthorized},
		{"no rights", "GET", nodes, []option{bearer(nobody)}, 403, metav1.StatusReasonForbidden},
		{"no rights on metrics", "GET", "/metrics", []option{bearer(nobody)}, 403, metav1.StatusReasonForbidden},
		{"no rights on an unknown path", "GET", "/no/such/path", []option{bearer(nobody)}, 403, metav1.StatusReasonForbidden},
		{"unknown type", "GET", viewer + "/unicorns", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"unknown name", "GET", nodes + "/no-such-node", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"unknown name in a namespace", "GET", viewer + "/namespaces/default/pods/none", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"cluster-scoped type in a namespace", "GET", viewer + "/namespaces/default/nodes", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"unknown path", "GET", "/no/such/path", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"unknown cluster", "GET", "/kapis/clusters/nowhere/resources.kubesphere.io/v1alpha3/nodes", []option{bearer(admin.AccessToken)}, 404, metav1.StatusReasonNotFound},
		{"method not allowed", "DELETE", nodes, []option{bearer(admin.AccessToken)}, 405, "MethodNotAllowed"},
		// Upstream returned everything for a selector it could not read (golden 126).
		{"invalid label selector", "GET", nodes + "?labelSelector=a%3D%3D%3D", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
		{"invalid field selector", "GET", nodes + "?fieldSelector=a", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
		{"invalid page", "GET", nodes + "?page=0", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
		{"invalid limit", "GET", nodes + "?limit=many", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
		{"encoded slash", "GET", viewer + "/namespaces/a%2Fb/pods", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
		{"relative path", "GET", viewer + "/%2e%2e/%2e%2e/version", []option{bearer(admin.AccessToken)}, 400, metav1.StatusReasonBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := shared.do(t, test.method, test.path, nil, test.opts...)
			answer := decode[metav1.Status](t, got)
			if got.code != test.code || answer.Reason != test.reason || int(answer.Code) != test.code || answer.Kind != "Status" || answer.Message == "" {
				t.Errorf("got %d %s, want %d %s", got.code, got.body, test.code, test.reason)
			}
			if got.code == 401 && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("WWW-Authenticate is %q", got.header.Get("WWW-Authenticate"))
			}
		})
	}
	t.Run("oversized body", func(t *testing.T) {
		got := shared.do(t, http.MethodPost, nodes, strings.NewReader(strings.Repeat("x", 4<<20)), bearer(admin.AccessToken))
		if got.code != 413 {
			t.Errorf("got %d %.200s", got.code, got.body)
		}
	})
}

func TestPublicPaths(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/livez", "/readyz", "/healthz", "/version", "/kapis/version", "/apidocs.json", "/apidocs-crds.json", "/openapi/v2", "/openapi/v3", "/openapi/v3/kapis", "/swagger-ui/",
		"/oauth/keys", "/oauth/logout", "/kapis/config.kubesphere.io/v1alpha2/configs/configz",
	} {
		if r := shared.get(t, path); r.code != 200 {
			t.Errorf("%s: %d %.200s", path, r.code, r.body)
		}
	}
}

func TestBasicAuthentication(t *testing.T) {
	t.Parallel()
	if r := shared.get(t, viewer+"/nodes?limit=0", func(r *http.Request) { r.SetBasicAuth("admin", adminPassword) }); r.code != 200 {
		t.Errorf("got %d %s", r.code, r.body)
	}
}

// A right that is given or taken is in force within a second.
func TestBindingsTakeEffect(t *testing.T) {
	t.Parallel()
	token := user(t, "soon-admin")
	c := kubernetes(t, "")
	binding := &iamv1alpha2.GlobalRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "soon-admin-platform-admin"}}
	binding.RoleRef.APIGroup, binding.RoleRef.Kind, binding.RoleRef.Name = iamv1alpha2.GroupName, "GlobalRole", iamv1alpha2.GlobalRolePlatformAdmin
	binding.Subjects = append(binding.Subjects, subjectUser("soon-admin"))
	check := func(code int) {
		t.Helper()
		wait.For(t, "the binding to take effect", func() error { return expect(shared.get(t, viewer+"/nodes?limit=0", bearer(token)), code) })
	}
	check(403)
	if err := c.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	check(200)
	if err := c.Delete(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	check(403)
}

// A disabled or deleted user is out within a second, and cannot come back.
func TestDisabledUser(t *testing.T) {
	t.Parallel()
	token := user(t, "soon-disabled")
	c := kubernetes(t, "")
	account := &iamv1alpha2.User{}
	change(t, c, account, clientKey("soon-disabled"), func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserDisabled })
	wait.For(t, "the disabled user's token to be refused", func() error { return expect(shared.get(t, "/version", bearer(token)), 401) })
	if r := shared.token(t, passwordForm("soon-disabled", "secret-soon-disabled")); r.code != 400 {
		t.Errorf("a disabled user logs in: %d %s", r.code, r.body)
	}
}

// Neither hashes nor hidden parts of sessions and secrets are shown (golden 084, 164).
func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	admin := shared.login(t)
	for path, hidden := range map[string]string{
		"/users": "$2a$", "/users/admin": "$2a$", "/sessions": "refreshTokenHash", "/users?pretty": "$2a$",
	} {
		got := shared.get(t, viewer+path, bearer(admin.AccessToken))
		if got.code != 200 || strings.Contains(string(got.body), hidden) {
			t.Errorf("%s: status %d, shows %s: %v", path, got.code, hidden, strings.Contains(string(got.body), hidden))
		}
	}
	token := user(t, "secret-lister")
	c := kubernetes(t, "")
	role := &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "secret-lister"}, Rules: viewerRule("secrets")}
	create(t, c, role)
	binding := &iamv1alpha2.GlobalRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "secret-lister"}}
	binding.RoleRef.APIGroup, binding.RoleRef.Kind, binding.RoleRef.Name = iamv1alpha2.GroupName, "GlobalRole", "secret-lister"
	binding.Subjects = append(binding.Subjects, subjectUser("secret-lister"))
	create(t, c, binding)
	create(t, c, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "secret-lister"}, StringData: map[string]string{"configuration.yaml": "a: b"}})
	path := viewer + "/namespaces/default/secrets/secret-lister"
	wait.For(t, "the role to take effect", func() error { return expect(shared.get(t, path, bearer(token)), 200) })
	type secret struct{ Data map[string]string }
	if got := decode[secret](t, shared.get(t, path, bearer(token))); len(got.Data) != 1 || got.Data["configuration.yaml"] != "" {
		t.Errorf("who may not get secrets sees %v", got.Data)
	}
	if got := decode[secret](t, shared.get(t, path, bearer(admin.AccessToken))); got.Data["configuration.yaml"] == "" {
		t.Error("who may get secrets sees nothing")
	}
}
