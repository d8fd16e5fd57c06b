//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	iamAPI      = "/kapis/iam.kubesphere.io/v1alpha2"
	kapisViewer = "/kapis/resources.kubesphere.io/v1alpha3"
)

// TestScopes: a role counts in its workspace or namespace and nowhere else.
// Upstream took a namespace without a workspace for one in every workspace.
func TestScopes(t *testing.T) {
	t.Parallel()
	workspace(t, "scope-a")
	workspace(t, "scope-b")
	create(t, kubernetes(t, ""), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "scope-none"}})
	admin, viewer, operator := user(t, "scope-admin"), user(t, "scope-viewer"), user(t, "scope-operator")
	reader := user(t, "scope-reader")
	create(t, kubernetes(t, ""), &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "scope-reader"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"users"}, Verbs: []string{"get", "list", "watch"}}}})
	create(t, kubernetes(t, ""), &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "scope-reader"}, RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "scope-reader"}, Subjects: []rbacv1.Subject{subjectUser("scope-reader")},
	})
	inWorkspace(t, "scope-admin", "scope-a", "admin")
	inWorkspace(t, "scope-viewer", "scope-a", "viewer")
	inNamespace(t, "scope-operator", "scope-a-project", "operator")
	answers(t, "GET", "/api/v1/namespaces/scope-a-project/pods", admin, 200)
	for _, test := range []struct {
		name, token, method, path string
		code                      int
	}{
		{"admin in the own namespace", admin, "GET", "/api/v1/namespaces/scope-a-project/secrets", 200},
		{"admin in another workspace", admin, "GET", "/api/v1/namespaces/scope-b-project/pods", 403},
		{"admin in a namespace without a workspace", admin, "GET", "/api/v1/namespaces/scope-none/pods", 403},
		{"admin in the namespace of the system", admin, "GET", "/api/v1/namespaces/kube-system/secrets", 403},
		{"admin in a namespace that is not there", admin, "GET", "/api/v1/namespaces/nowhere/pods", 403},
		{"admin of nodes", admin, "GET", "/api/v1/nodes", 403},
		{"admin of all pods", admin, "GET", "/api/v1/pods", 403},
		{"admin of users", admin, "GET", iamAPI + "/users/admin", 403},
		{"admin of roles of the workspace", admin, "GET", iamAPI + "/workspaces/scope-a/workspaceroles", 200},
		{"admin of roles of another", admin, "GET", iamAPI + "/workspaces/scope-b/workspaceroles", 403},
		{"admin of the roles as Kubernetes has them", admin, "GET", "/apis/iam.kubesphere.io/v1alpha2/workspaceroles", 403},
		{"a role that shows users", reader, "GET", iamAPI + "/users/admin", 200},
		{"shows no hashes of passwords", reader, "GET", "/apis/iam.kubesphere.io/v1alpha2/users", 403},
		{"nor one by one", reader, "GET", "/apis/iam.kubesphere.io/v1alpha2/users/admin", 403},
		{"admin of sessions", admin, "GET", "/apis/iam.kubesphere.io/v1alpha2/sessions", 403},
		{"viewer reads", viewer, "GET", "/api/v1/namespaces/scope-a-project/pods", 200},
		{"viewer writes", viewer, "DELETE", "/api/v1/namespaces/scope-a-project/pods/none", 403},
		{"viewer runs commands", viewer, "GET", "/api/v1/namespaces/scope-a-project/pods/none/exec?command=id", 403},
		{"operator writes", operator, "DELETE", "/api/v1/namespaces/scope-a-project/pods/none", 404},
		{"operator writes roles", operator, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/scope-a-project/roles", 403},
		{"operator of the workspace", operator, "GET", iamAPI + "/workspaces/scope-a/workspaceroles", 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := expect(shared.send(t, test.method, test.path, test.token, ""), test.code); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("visible", func(t *testing.T) {
		// Lists of everything show what is in reach, totals included.
		for _, path := range []string{kapisViewer + "/namespaces", kapisViewer + "/roles?limit=-1"} {
			r := shared.get(t, path, bearer(operator))
			got := decode[list](t, r)
			if r.code != 200 || *got.TotalItems != len(got.Items) || len(got.Items) == 0 || strings.Contains(string(r.body), "scope-b") || strings.Contains(string(r.body), "kube-system") {
				t.Errorf("%s: %d %.300s", path, r.code, r.body)
			}
		}
	})
	t.Run("kubectl get ns", func(t *testing.T) {
		output, err := kubectl(t, admin, "", "get", "namespaces")
		if err != nil || !strings.Contains(output, "scope-a-project") || strings.Contains(output, "kube-system") || strings.Contains(output, "scope-b") {
			t.Errorf("%v %s", err, output)
		}
		output, err = kubectl(t, admin, "", "get", "namespaces", "-o", "name")
		if err != nil || strings.TrimSpace(output) != "namespace/scope-a-project" {
			t.Errorf("%v %s", err, output)
		}
	})
	t.Run("watch namespaces", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), wait.Timeout)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", shared.url+"/api/v1/namespaces?watch=true", nil)
		if err != nil {
			t.Fatal(err)
		}
		bearer(admin)(r)
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var event struct {
			Type   string
			Object corev1.Namespace
		}
		if err := json.NewDecoder(answer.Body).Decode(&event); err != nil || event.Object.Name != "scope-a-project" {
			t.Errorf("first event: %v %+v", err, event.Object.Name)
		}
	})
	t.Run("can-i", func(t *testing.T) {
		for args, want := range map[string]string{
			"auth can-i create pods -n scope-a-project": "yes", "auth can-i create pods -n scope-b-project": "no", "auth can-i '*' '*'": "no",
			"auth can-i list nodes": "no", "auth can-i get /api": "yes", "auth can-i get /metrics": "no",
		} {
			output, err := kubectl(t, admin, "", strings.Fields(strings.ReplaceAll(args, "'", ""))...)
			if lines := strings.Split(strings.TrimSpace(output), "\n"); lines[len(lines)-1] != want || (err == nil) != (want == "yes") {
				t.Errorf("%s: %v %s", args, err, output)
			}
		}
		if output, err := kubectl(t, viewer, "", "auth", "can-i", "--list", "-n", "scope-a-project"); err != nil || !strings.Contains(output, "[get list watch]") {
			t.Errorf("--list: %v %s", err, output)
		}
	})
}

// TestRoles: roles as the console manages them.
func TestRoles(t *testing.T) {
	t.Parallel()
	admin := shared.login(t).AccessToken
	workspace(t, "roles-a")
	send := func(method, path, body string, code int) reply {
		t.Helper()
		r := shared.send(t, method, iamAPI+path, admin, body)
		if err := expect(r, code); err != nil {
			t.Errorf("%s %s: %v", method, path, err)
		}
		return r
	}
	for place, template := range map[string]string{
		"/globalroles": "role-template-view-users", "/clusterroles": "role-template-view-nodes",
		"/workspaces/roles-a/workspaceroles": "role-template-view-projects", "/namespaces/roles-a-project/roles": "role-template-view-secrets",
	} {
		name := "roles-test"
		t.Run(place, func(t *testing.T) {
			one := place + "/" + name
			body := `{"metadata":{"name":"` + name + `","annotations":{"iam.kubesphere.io/aggregation-roles":"[\"` + template + `\"]"}},"rules":[]}`
			created := decode[rbacv1.ClusterRole](t, send("POST", place, body, 200))
			if len(created.Rules) == 0 || created.Annotations["kubesphere.io/creator"] != "admin" {
				t.Errorf("created %+v", created)
			}
			t.Cleanup(func() { send("DELETE", one, "", 200); send("GET", one, "", 404); send("DELETE", one, "", 404) })
			send("POST", place, body, 409)
			got := decode[rbacv1.ClusterRole](t, send("GET", one, "", 200))
			if got.UID != created.UID {
				t.Errorf("got %+v", got)
			}
			if l := decode[list](t, send("GET", place+"?annotation=kubesphere.io/creator&name="+name, "", 200)); *l.TotalItems != 1 {
				t.Errorf("it is not listed at once: %+v", l)
			}
			templates := decode[list](t, send("GET", place+"?label=iam.kubesphere.io/role-template=true&limit=-1", "", 200))
			if !slices.ContainsFunc(names(templates), func(name string) bool { return strings.HasSuffix(name, "/"+template) }) {
				t.Errorf("templates: %v", names(templates))
			}
			patched := decode[rbacv1.ClusterRole](t, send("PATCH", one, `{"metadata":{"annotations":{"iam.kubesphere.io/aggregation-roles":null}},"rules":[{"apiGroups":["a"],"resources":["b"],"verbs":["c"]}]}`, 200))
			if len(patched.Rules) != 1 || patched.Rules[0].Verbs[0] != "c" {
				t.Errorf("patched: %+v", patched)
			}
			stale := *got.DeepCopy()
			text, _ := json.Marshal(stale)
			send("PUT", one, string(text), 409)
			patched.ResourceVersion = ""
			patched.Labels = map[string]string{"x": "y"}
			text, _ = json.Marshal(patched)
			if updated := decode[rbacv1.ClusterRole](t, send("PUT", one, string(text), 200)); updated.Labels["x"] != "y" {
				t.Errorf("updated: %+v", updated)
			}
			send("PUT", one, `{"metadata":{"name":"other"}}`, 400)
			send("POST", place, `{"kind":"Secret","metadata":{"name":"x"}}`, 400)
			send("POST", place, `[]`, 400)
			send("POST", place, `{}`, 422)
		})
	}
	t.Run("templates of users", func(t *testing.T) {
		mine := decode[[]metav1.PartialObjectMetadata](t, send("GET", "/users/admin/globalroles", "", 200))
		if !slices.ContainsFunc(mine, func(o metav1.PartialObjectMetadata) bool {
			return o.Name == "role-template-manage-users" && o.Annotations["iam.kubesphere.io/role-template-rules"] != ""
		}) {
			t.Errorf("admin has %d templates", len(mine))
		}
		token := user(t, "roles-member")
		inWorkspace(t, "roles-member", "roles-a", "viewer")
		inNamespace(t, "roles-member", "roles-a-project", "viewer")
		for _, path := range []string{"/workspaces/roles-a/workspacemembers/roles-member/workspaceroles", "/namespaces/roles-a-project/members/roles-member/roles"} {
			wait.For(t, "the templates of the member's role", func() error {
				r := shared.get(t, iamAPI+path, bearer(token))
				if r.code != 200 || !strings.Contains(string(r.body), "role-template-rules") {
					return fmt.Errorf("%s: %d %.200s", path, r.code, r.body)
				}
				return nil
			})
		}
		if r := shared.get(t, iamAPI+"/users/admin/globalroles", bearer(token)); r.code != 403 {
			t.Errorf("those of others: %d", r.code)
		}
		if r := shared.get(t, iamAPI+"/users/roles-member/globalroles", bearer(token)); r.code != 200 || strings.TrimSpace(string(r.body)) != "[]" {
			t.Errorf("none: %d %s", r.code, r.body)
		}
		send("GET", "/users/nobody-at-all/globalroles", "", 404)
	})
	t.Run("reviews", func(t *testing.T) {
		token := user(t, "roles-asker")
		inWorkspace(t, "roles-asker", "roles-a", "viewer")
		answers(t, "GET", "/api/v1/namespaces/roles-a-project/pods", token, 200)
		type review struct{ Status struct{ Allowed bool } }
		for body, want := range map[string]bool{
			`{"spec":{"resourceAttributes":{"verb":"list","resource":"pods","namespace":"roles-a-project"}}}`:                               true,
			`{"spec":{"resourceAttributes":{"verb":"create","resource":"pods","namespace":"roles-a-project"}}}`:                             false,
			`{"spec":{"workspace":"roles-a","resourceAttributes":{"verb":"list","group":"iam.kubesphere.io","resource":"workspaceroles"}}}`: true,
			`{"spec":{"workspace":"other","resourceAttributes":{"verb":"list","group":"iam.kubesphere.io","resource":"workspaceroles"}}}`:   false,
			`{"spec":{"resourceAttributes":{"verb":"list","group":"iam.kubesphere.io","resource":"users"}}}`:                                false,
			`{"spec":{"nonResourceAttributes":{"verb":"get","path":"/api"}}}`:                                                               true,
			`{"spec":{"user":"roles-asker","resourceAttributes":{"verb":"list","resource":"pods","namespace":"roles-a-project"}}}`:          true,
		} {
			r := shared.send(t, "POST", iamAPI+"/accessreviews", token, body)
			if got := decode[review](t, r); r.code != 200 || got.Status.Allowed != want {
				t.Errorf("%s: %d %s", body, r.code, r.body)
			}
		}
		about := `{"spec":{"user":"roles-asker","resourceAttributes":{"verb":"list","resource":"pods","namespace":"roles-a-project"}}}`
		if got := decode[review](t, shared.send(t, "POST", iamAPI+"/accessreviews", admin, about)); !got.Status.Allowed {
			t.Error("an administrator asks about others")
		}
		for path, body := range map[string]string{"/accessreviews": `{"spec":{"user":"admin","nonResourceAttributes":{"verb":"get","path":"/"}}}`, "/rulesreview": `{"spec":{"user":"admin"}}`} {
			if r := shared.send(t, "POST", iamAPI+path, token, body); r.code != 403 {
				t.Errorf("asking about others: %d %s", r.code, r.body)
			}
		}
		if r := shared.send(t, "POST", iamAPI+"/rulesreview", token, `{"spec":{"workspace":"roles-a"}}`); r.code != 200 || !strings.Contains(string(r.body), `"verbs":["get","list","watch"]`) {
			t.Errorf("rules: %d %s", r.code, r.body)
		}
		for _, body := range []string{`{}`, `nonsense`, `{"spec":{"resourceAttributes":{},"nonResourceAttributes":{}}}`} {
			if r := shared.send(t, "POST", iamAPI+"/accessreviews", token, body); r.code != 400 {
				t.Errorf("%s: %d", body, r.code)
			}
		}
	})
}
