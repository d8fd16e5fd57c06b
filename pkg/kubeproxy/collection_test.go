package kubeproxy

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// collection answers as Kubernetes about the objects of a type, and records deletions.
type collection struct {
	kind    string
	objects string // in JSON, separated by commas
	deleted []url.Values
	bodies  []string
}

func (c *collection) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var all []json.RawMessage
	if err := json.Unmarshal([]byte("["+c.objects+"]"), &all); err != nil {
		panic(err)
	}
	if r.Method == http.MethodDelete {
		body, _ := io.ReadAll(r.Body)
		c.deleted, c.bodies = append(c.deleted, r.URL.Query()), append(c.bodies, string(body))
		_, _ = io.WriteString(w, `{"kind":"Status","status":"Success"}`)
		return
	}
	if last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; !strings.HasSuffix(last, "s") && len(all) > 0 || last == "network-isolate" {
		_, _ = fmt.Fprintf(w, `{"kind":%q,"apiVersion":"v1",%s`, c.kind, strings.TrimPrefix(string(all[0]), "{"))
		return
	}
	query := r.URL.Query()
	from, _ := strconv.Atoi(query.Get("continue"))
	to := len(all)
	if limit, _ := strconv.Atoi(query.Get("limit")); limit > 0 {
		to = min(to, from+limit)
	}
	next := ""
	if to < len(all) {
		next = strconv.Itoa(to)
	}
	items, _ := json.Marshal(all[from:to])
	_, _ = fmt.Fprintf(w, `{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"42","continue":%q},"items":%s}`, c.kind, next, items)
}

// send sends a request to the proxy and returns the answer.
func (f *front) send(t *testing.T, method, target, contentType, body string) (code int, text string) {
	t.Helper()
	r, err := http.NewRequest(method, f.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(content)
}

// TestCollections: a collection is deleted by users who may delete each of its objects
// by its name, and nothing else is deleted.
func TestCollections(t *testing.T) {
	const (
		rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/n/"
		own  = `{"metadata":{"name":"own","namespace":"n"},"roleRef":{"kind":"Role","name":"own"},"subjects":[{"kind":"User","name":"zoe"}]}`
		them = `{"metadata":{"name":"them","namespace":"n"},"roleRef":{"kind":"Role","name":"admin"},"subjects":[{"kind":"User","name":"zoe"}]}`
		us   = `{"metadata":{"name":"us","namespace":"n"},"roleRef":{"kind":"Role","name":"admin"},"subjects":[{"kind":"User","name":"jane"}]}`
	)
	role := func(name, more string) string {
		return `{"metadata":{"name":"` + name + `","namespace":"n"` + more + `}}`
	}
	many := strings.Repeat(role("empty", "")+",", 120)
	for _, test := range []struct {
		name, kind, target, objects string
		may                         bool
		limit                       string
	}{
		{"roles without rules", "Role", rbac + "roles", role("empty", ""), true, ""},
		{"no roles", "Role", rbac + "roles", "", true, ""},
		{"a role with rules that are not held", "Role", rbac + "roles", role("empty", "") + `,{"metadata":{"name":"r"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]}`, false, ""},
		{"a role of the platform", "Role", rbac + "roles", role("operator", `,"annotations":{"kubesphere.io/creator":"system"}`), false, ""},
		{"a role with a reserved name", "Role", rbac + "roles", role("kubesphere:rules", ""), false, ""},
		{"a role of Kubernetes by a selector", "Role", rbac + "roles?labelSelector=a%3Db&propagationPolicy=Orphan", role("system:x", ""), false, ""},
		{"a dry run", "Role", rbac + "roles?dryRun=All&fieldSelector=metadata.name%3Dsystem:x", role("system:x", ""), false, ""},
		{"a role on a later page", "Role", rbac + "roles", many + role("system:x", ""), false, ""},
		{"roles on several pages", "Role", rbac + "roles", many + role("empty", ""), true, ""},
		{"the first ones", "Role", rbac + "roles?limit=60", many + role("system:x", ""), true, "60"},
		{"bindings of held roles", "RoleBinding", rbac + "rolebindings", own + "," + us, true, ""},
		{"bindings of others", "RoleBinding", rbac + "rolebindings", own + "," + them, false, ""},
		{"a binding of the server", "RoleBinding", rbac + "rolebindings", strings.ReplaceAll(own, `"name":"own","namespace"`, `"name":"kubesphere:x","namespace"`), false, ""},
		{"the binding of the server", "ClusterRoleBinding", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", strings.ReplaceAll(own, `"name":"own","namespace"`, `"name":"kubesphere-authorized","namespace"`), false, ""},
		{"own webhooks", "ValidatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", `{"metadata":{"name":"a"},"webhooks":[{"rules":[{"apiGroups":["example.com"]}]}]}`, true, ""},
		{"webhooks for the platform", "ValidatingWebhookConfiguration", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", `{"metadata":{"name":"a"},"webhooks":[{"rules":[{"apiGroups":["*"]}]}]}`, false, ""},
		{"groups", "Group", "/apis/iam.kubesphere.io/v1alpha2/groups", role("g", ""), false, ""},
		{"templates of roles", "RoleBase", "/apis/iam.kubesphere.io/v1alpha2/rolebases", role("g", ""), false, ""},
		{"gateways", "Gateway", "/apis/gateway.kubesphere.io/v1alpha1/namespaces/n/gateways", role("g", ""), false, ""},
		{"workspaces", "WorkspaceTemplate", "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates", "", false, ""},
		{"by Kubernetes' API below /kapis", "Role", "/kapis/rbac.authorization.k8s.io/v1/namespaces/n/roles", role("system:x", ""), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubernetes := &collection{kind: test.kind, objects: strings.TrimSuffix(test.objects, ",")}
			f := newFront(t, kubernetes.serve)
			f.proxy.rights = deleter{}
			code, text := f.send(t, http.MethodDelete, test.target, "", "")
			if want := map[bool]int{true: 200, false: 403}[test.may]; code != want || len(kubernetes.deleted) != code/200%2 {
				t.Fatalf("%d %s, deleted %v", code, text, kubernetes.deleted)
			}
			if !test.may {
				return
			}
			query := kubernetes.deleted[0]
			if query.Get("resourceVersion") != "42" || query.Get("resourceVersionMatch") != "Exact" || query.Get("limit") != test.limit {
				t.Errorf("deleted %v", query)
			}
			// Options in the query would make the version a precondition of each object.
			if !strings.Contains(kubernetes.bodies[0], `"kind":"DeleteOptions"`) || strings.Contains(kubernetes.bodies[0], "42") {
				t.Errorf("deleted with %s", kubernetes.bodies[0])
			}
		})
	}
	t.Run("options", func(t *testing.T) {
		for _, test := range []struct{ query, body, want string }{
			{"?dryRun=All&propagationPolicy=Orphan&gracePeriodSeconds=3", "", `{"kind":"DeleteOptions","apiVersion":"meta.k8s.io/v1","gracePeriodSeconds":3,"propagationPolicy":"Orphan","dryRun":["All"]}`},
			{"?dryRun=All", `{"propagationPolicy":"Foreground"}`, `{"propagationPolicy":"Foreground"}`},
		} {
			kubernetes := &collection{kind: "Role", objects: role("empty", "")}
			f := newFront(t, kubernetes.serve)
			f.proxy.rights = deleter{}
			if code, text := f.send(t, http.MethodDelete, rbac+"roles"+test.query, "application/json", test.body); code != 200 || kubernetes.bodies[0] != test.want {
				t.Errorf("%s: %d %s, deleted with %v", test.query, code, text, kubernetes.bodies)
			}
		}
	})
	t.Run("an administrator", func(t *testing.T) {
		kubernetes := &collection{kind: "Role", objects: role("system:x", "")}
		f := newFront(t, kubernetes.serve)
		f.proxy.rights = &authz.RBAC{All: true}
		if code, text := f.send(t, http.MethodDelete, rbac+"roles?continue=a", "", ""); code != 200 || len(kubernetes.deleted[0]) != 1 {
			t.Errorf("%d %s %v", code, text, kubernetes.deleted)
		}
	})
	t.Run("a part of a quota of a workspace is left out", func(t *testing.T) {
		kubernetes := &collection{kind: "ResourceQuota", objects: role("empty", "")}
		f := newFront(t, kubernetes.serve)
		f.proxy.rights = deleter{}
		if code, text := f.send(t, http.MethodDelete, "/api/v1/namespaces/n/resourcequotas?labelSelector=a%3Db", "", ""); code != 200 || kubernetes.deleted[0].Get("labelSelector") != "a=b,!quota.kubesphere.io/resourcequota,!quota.kubesphere.io/protected" {
			t.Errorf("%d %s %v", code, text, kubernetes.deleted)
		}
	})
	t.Run("from a later page", func(t *testing.T) {
		f := newFront(t, (&collection{kind: "Role"}).serve)
		f.proxy.rights = deleter{}
		if code, text := f.send(t, http.MethodDelete, rbac+"roles?continue=a", "", ""); code != 400 {
			t.Errorf("%d %s", code, text)
		}
	})
}
