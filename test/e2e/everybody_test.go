//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestRolesForEverybody: who administers a project or a workspace gives no role to callers
// nobody knows. Such a role let visitors reach the pods of the project from the browsers of
// others, and manage the workspace.
func TestRolesForEverybody(t *testing.T) {
	t.Parallel()
	workspace(t, "eb-w")
	admin, owner, manager := shared.login(t).AccessToken, user(t, "eb-owner"), user(t, "eb-manager")
	inNamespace(t, "eb-owner", "eb-w-project", "admin")
	inWorkspace(t, "eb-manager", "eb-w", "admin")
	inCluster(t, "eb-manager", "cluster-admin")
	const (
		bindings   = "/apis/rbac.authorization.k8s.io/v1/namespaces/eb-w-project/rolebindings"
		cluster    = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
		ours       = "/kapis/iam.kubesphere.io/v1alpha2"
		members    = ours + "/namespaces/eb-w-project/rolebindings"
		workspaces = ours + "/workspaces/eb-w/workspacerolebindings"
		anonymous  = `{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"system:anonymous"}`
		open       = `{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:unauthenticated"}`
		all        = `{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}`
		pods       = `{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:serviceaccounts"}`
		self       = `{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"eb-owner"}`
	)
	binding := func(kind, name, role, subjects string) string {
		return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":%q,"metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":%q,"name":%q},"subjects":[%s]}`,
			kind, name, strings.TrimSuffix(kind, "Binding"), role, subjects)
	}
	inWorkspaceOf := func(subjects string) string {
		return `{"metadata":{"name":"eb-b"},"roleRef":{"kind":"WorkspaceRole","name":"eb-w-admin"},"subjects":[` + subjects + `]}`
	}
	answers(t, "GET", bindings, owner, 200)
	answers(t, "GET", workspaces, manager, 200)
	answers(t, "GET", cluster, manager, 200)
	attempts(t, []attempt{
		{"a role", owner, "POST", strings.Replace(bindings, "rolebindings", "roles", 1), `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"eb-r"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["services/proxy","pods"]}]}`, nil, 201},
		{"for visitors", owner, "POST", bindings, binding("RoleBinding", "eb-1", "eb-r", anonymous+","+open), nil, 403},
		{"dry", owner, "POST", bindings + "?dryRun=All", binding("RoleBinding", "eb-1", "eb-r", anonymous), nil, 403},
		{"for all users", owner, "POST", bindings, binding("RoleBinding", "eb-1", "eb-r", all), nil, 403},
		{"for all service accounts", owner, "POST", bindings, binding("RoleBinding", "eb-1", "eb-r", self+","+pods), nil, 403},
		{"applied", owner, "PATCH", bindings + "/eb-1?fieldManager=eb", binding("RoleBinding", "eb-1", "eb-r", open), media(serverSet), 403},
		{"by our API", owner, "POST", members, `{"metadata":{"name":"eb-1"},"roleRef":{"name":"eb-r"},"subjects":[` + anonymous + `]}`, nil, 403},
		{"in a list", owner, "POST", members, `[{"metadata":{"name":"eb-1"},"roleRef":{"name":"eb-r"},"subjects":[` + self + `]},{"metadata":{"name":"eb-2"},"roleRef":{"name":"eb-r"},"subjects":[` + all + `]}]`, nil, 403},
		{"as a member", owner, "POST", ours + "/namespaces/eb-w-project/members", `[{"username":"system:anonymous","roleRef":"eb-r"}]`, nil, 404},
		{"a member", owner, "POST", bindings, binding("RoleBinding", "eb-1", "eb-r", self), nil, 201},
		{"and visitors too", owner, "PATCH", bindings + "/eb-1", `{"subjects":[` + self + `,` + anonymous + `]}`, media(merge), 403},
		{"by a JSON patch", owner, "PATCH", bindings + "/eb-1", `[{"op":"add","path":"/subjects/-","value":` + open + `}]`, media("application/json-patch+json"), 403},
		{"by an update", owner, "PUT", bindings + "/eb-1", binding("RoleBinding", "eb-1", "eb-r", all), nil, 403},
		{"an administrator may", admin, "PATCH", bindings + "/eb-1", `{"subjects":[` + self + `,` + anonymous + `,` + open + `]}`, media(merge), 200},
		{"what is there stays", owner, "PATCH", bindings + "/eb-1", `{"metadata":{"labels":{"a":"b"}}}`, media(merge), 200},
		{"a group for all of it", owner, "PATCH", bindings + "/eb-1", `{"subjects":[` + self + `,` + anonymous + `,` + all + `]}`, media(merge), 403},
		{"visitors do not connect", "", "GET", "/api/v1/namespaces/eb-w-project/services/http:evil:80/proxy/x.html", "", nil, 401},
		{"nor without a path", "", "GET", "/api/v1/namespaces/eb-w-project/services/evil/proxy", "", nil, 401},
		{"one goes", owner, "PATCH", bindings + "/eb-1", `{"subjects":[` + self + `,` + open + `]}`, media(merge), 200},
		{"all go", owner, "DELETE", bindings + "/eb-1", "", nil, 200},

		{"a workspace for visitors", manager, "POST", workspaces, inWorkspaceOf(`{"kind":"User","name":"eb-manager"},` + anonymous), nil, 403},
		{"for the group of visitors", manager, "POST", workspaces, `[` + inWorkspaceOf(open) + `]`, nil, 403},
		{"for all users", manager, "POST", workspaces, inWorkspaceOf(all), nil, 403},
		{"the cluster for all users", manager, "POST", cluster, binding("ClusterRoleBinding", "eb-c", "view", all), nil, 403},
		{"by our API", manager, "POST", ours + "/clusterrolebindings", `{"metadata":{"name":"eb-c"},"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[` + all + `]}`, nil, 404},
		{"an administrator may", admin, "POST", cluster + "?dryRun=All", binding("ClusterRoleBinding", "eb-c", "view", all), nil, 201},
		{"the platform by an administrator", admin, "POST", "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings?dryRun=All", `{"apiVersion":"iam.kubesphere.io/v1alpha2","kind":"GlobalRoleBinding","metadata":{"name":"eb-g"},"roleRef":{"apiGroup":"iam.kubesphere.io","kind":"GlobalRole","name":"platform-regular"},"subjects":[` + all + `]}`, nil, 201},
	})
}

// TestProjectsOfOthers: visitors and service accounts with the right to create projects got
// an error after the namespace was written.
func TestProjectsOfOthers(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	admin := shared.login(t).AccessToken
	if err := expect(shared.send(t, "POST", "/kapis/tenant.kubesphere.io/v1alpha2/workspaces", admin, `{"metadata":{"name":"eb-projects"}}`), 200); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		remove(t, c, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "eb-projects"}})
	})
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "eb-tools"}})
	robot := serviceAccountToken(t, "eb-tools", "robot")
	create(t, c, &iamv1alpha2.WorkspaceRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "eb-projects-others", Labels: map[string]string{"kubesphere.io/workspace": "eb-projects"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "WorkspaceRole", Name: "eb-projects-admin"},
		Subjects:   []rbacv1.Subject{subjectUser("system:anonymous"), {Kind: "ServiceAccount", Namespace: "eb-tools", Name: "robot"}},
	})
	const namespaces = "/kapis/tenant.kubesphere.io/v1alpha2/workspaces/eb-projects/namespaces"
	answers(t, "GET", namespaces, robot, 200)
	visitor := func(method, path, body string) reply {
		return shared.do(t, method, path, strings.NewReader(body), header("Content-Type", "application/json"))
	}
	wait.For(t, "the visitor's role to be in force", func() error { return expect(visitor("POST", namespaces, `{"metadata":{"name":"eb-by-visitor"}}`), 403) })
	if err := expect(shared.send(t, "GET", "/api/v1/namespaces/eb-by-visitor", admin, ""), 404); err != nil {
		t.Errorf("what a visitor did not create: %v", err)
	}
	if err := expect(shared.send(t, "POST", namespaces, robot, `{"metadata":{"name":"eb-by-robot"}}`), 200); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() { remove(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "eb-by-robot"}}) })
	bound := decode[rbacv1.RoleBindingList](t, shared.send(t, "GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/eb-by-robot/rolebindings", admin, ""))
	for _, binding := range bound.Items {
		for _, subject := range binding.Subjects {
			if strings.Contains(subject.Name, "robot") {
				t.Errorf("the service account has a role by %s", binding.Name)
			}
		}
	}
	wait.For(t, "the roles of the project", func() error {
		return expect(shared.send(t, "GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/eb-by-robot/roles/admin", admin, ""), 200)
	})
}
