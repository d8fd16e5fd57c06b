//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// personalToken is a personal access token of a user.
func personalToken(t *testing.T, owner person, name string, scopes ...string) string {
	t.Helper()
	made := decode[struct {
		Metadata struct{ Name string }
		Token    string
	}](t, owner.must(t, http.StatusCreated, http.MethodPost, users+"/"+name+"/tokens", fields{"description": "lt", "scopes": scopes, "expiresInSeconds": 3600}))
	c := kubernetes(t, "")
	t.Cleanup(func() {
		remove(t, c, &iamv1alpha2.PersonalAccessToken{ObjectMeta: metav1.ObjectMeta{Name: made.Metadata.Name}})
	})
	return made.Token
}

// TestPersonalTokensGiveNoMore: a personal access token of an administrator gives others
// neither the platform nor the cluster, whichever object, field or operation does so.
func TestPersonalTokensGiveNoMore(t *testing.T) {
	t.Parallel()
	user(t, "lt-friend")
	workspace(t, "lt-tokens")
	c := kubernetes(t, "")
	none := &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "lt-pods"}, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}
	create(t, c, none)
	admin := shared.as(t, "admin", adminPassword)
	all, updates := personalToken(t, admin, "admin", "all"), personalToken(t, admin, "admin", "iam.kubesphere.io/users:get,update")
	members := personalToken(t, admin, "admin", "iam.kubesphere.io/*:*")
	fitting := personalToken(t, admin, "admin", "iam.kubesphere.io/users:get,update", "iam.kubesphere.io/globalrolebindings:create", "core/pods:get")

	const (
		global   = "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings"
		cluster  = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
		projects = "/apis/rbac.authorization.k8s.io/v1/namespaces/lt-tokens-project/rolebindings"
		friend   = `"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"lt-friend"}]`
		robot    = `"subjects":[{"kind":"ServiceAccount","name":"default","namespace":"default"}]`
	)
	binding := func(group, kind, role, subjects string) string {
		name, _, _ := strings.Cut(group, "/")
		return `{"apiVersion":"` + group + `","kind":"` + kind + `Binding","metadata":{"name":"lt-given"},"roleRef":{"apiGroup":"` + name + `","kind":"` + kind + `","name":"` + role + `"},` + subjects + `}`
	}
	const iam, rbac = "iam.kubesphere.io/v1alpha2", "rbac.authorization.k8s.io/v1"
	promoted := func(role string) string {
		return `{"metadata":{"name":"lt-friend","annotations":{"iam.kubesphere.io/globalrole":"` + role + `"}},"spec":{"email":"lt-friend@example.com"}}`
	}
	everything := `"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]`
	dry := "?dryRun=All"
	attempts(t, []attempt{
		{"the platform by a binding", all, "POST", global, binding(iam, "GlobalRole", "platform-admin", friend), nil, 403},
		{"by the field of a user", updates, "PUT", users + "/lt-friend", promoted("platform-admin"), nil, 403},
		{"with all scopes", all, "PUT", users + "/lt-friend", promoted("platform-admin"), nil, 403},
		{"a small role by the field", updates, "PUT", users + "/lt-friend", promoted("lt-pods"), nil, 403},
		{"a user without a role is changed", updates, "PUT", users + "/lt-friend", `{"metadata":{"name":"lt-friend"},"spec":{"email":"lt-friend@example.com","description":"a"}}`, nil, 200},
		// Who has the mailbox, or the address at an identity provider, logs in as the user.
		{"an address", updates, "PUT", users + "/lt-friend", `{"metadata":{"name":"lt-friend"},"spec":{"email":"lt-other@example.com"}}`, nil, 403},
		{"the own address with all scopes", all, "PUT", users + "/admin", `{"metadata":{"name":"admin"},"spec":{"email":"lt-other@example.com"}}`, nil, 403},
		{"the own address by a patch", all, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/admin", `{"spec":{"email":"lt-other@example.com"}}`, media(merge), 403},
		{"the cluster to a member", members, "POST", iamAPI + "/clustermembers", `[{"username":"lt-friend","roleRef":"cluster-admin"}]`, nil, 403},
		{"with all scopes, to a member", all, "POST", iamAPI + "/clustermembers", `[{"username":"lt-friend","roleRef":"cluster-admin"}]`, nil, 403},
		{"the cluster to a service account", all, "POST", cluster, binding(rbac, "ClusterRole", "cluster-admin", robot), nil, 403},
		{"and to a user", all, "POST", cluster, binding(rbac, "ClusterRole", "cluster-admin", friend), nil, 403},
		{"applied", all, "PATCH", cluster + "/lt-given?fieldManager=lt", binding(rbac, "ClusterRole", "cluster-admin", robot), media("application/apply-patch+yaml"), 403},
		{"a role of everything", all, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles" + dry, `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"lt-role"},` + everything + `}`, nil, 403},
		{"one on the platform", all, "POST", "/apis/iam.kubesphere.io/v1alpha2/globalroles" + dry, `{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"GlobalRole","metadata":{"name":"lt-role"},` + everything + `}`, nil, 403},
		{"a group with roles", all, "PATCH", "/apis/iam.kubesphere.io/v1alpha2/users/lt-friend", `{"spec":{"groups":["lt-any"]}}`, media(merge), 403},
		{"a role of the workspace without its bindings", personalToken(t, admin, "admin", "iam.kubesphere.io/workspacemembers:create"), "POST", iamAPI + "/workspaces/lt-tokens/workspacemembers", `[{"username":"lt-friend","roleRef":"lt-tokens-viewer"}]`, nil, 403},
		{"a role of a project is given", all, "POST", projects + dry, binding(rbac, "Role", "viewer", friend), nil, 201},
		{"a role that fits the scopes is given", fitting, "PUT", users + "/lt-friend", promoted("lt-pods"), nil, 200},
		{"one that does not is not", fitting, "PUT", users + "/lt-friend", promoted("platform-admin"), nil, 403},
	})
	// With the login the administrator gives all of it.
	admin.must(t, 200, "PUT", users+"/lt-friend", fields{"metadata": fields{"name": "lt-friend", "annotations": fields{"iam.kubesphere.io/globalrole": "platform-admin"}}, "spec": fields{"email": "lt-friend@example.com"}})
}

// TestTokensAtOnce: creations of access tokens beyond those one user may have at once are
// 429 and say when to come back, not the 503 of a Kubernetes that does not answer.
func TestTokensAtOnce(t *testing.T) {
	t.Parallel()
	token := user(t, "pat-atonce")
	replies := make(chan reply, 40)
	for range cap(replies) {
		go func() {
			replies <- shared.send(t, "POST", users+"/pat-atonce/tokens", token, `{"description":"at once","scopes":["read"]}`)
		}()
	}
	for range cap(replies) {
		if r := <-replies; r.code != 201 && (r.code != 429 || r.header.Get("Retry-After") == "" || !strings.Contains(string(r.body), "access tokens of this user")) {
			t.Errorf("got %d %v %.300s", r.code, r.header, r.body)
		}
	}
}
