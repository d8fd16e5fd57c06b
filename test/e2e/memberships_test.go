//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestGroupsOfOneUser: whoever creates workspaces puts any user into their groups, each of
// which is a header of all requests of that user to Kubernetes. They are bounded.
func TestGroupsOfOneUser(t *testing.T) {
	t.Parallel()
	owner, victim := newPerson(t, "mb-owner", "platform-self-provisioner"), newPerson(t, "mb-victim", "")
	admin := shared.as(t, "admin", adminPassword)
	const space = iamPath + "/workspaces/mb-space"
	newSpace(t, "mb-space", owner)
	answers(t, "GET", space+"/groups", owner.token, 200)
	var added []fields
	for n := range 52 {
		name := fmt.Sprintf("mb-group-%02d", n)
		owner.must(t, 200, "POST", space+"/groups", fields{"metadata": fields{"name": name}})
		added = append(added, fields{"userName": victim.name, "groupName": name})
	}
	owner.must(t, 200, "POST", space+"/groupbindings", added[:49])
	owner.must(t, 200, "POST", space+"/groupbindings", added[49:50])
	for _, more := range [][]fields{added[50:51], added[50:52]} {
		r := owner.must(t, 403, "POST", space+"/groupbindings", more)
		if text := string(r.body); !strings.Contains(text, "exceeded quota") || !strings.Contains(text, "limits.groupsPerMember") {
			t.Errorf("the answer is %s", text)
		}
	}
	for path, body := range map[string]any{
		"/apis/iam.kubesphere.io/v1alpha2/groupbindings": fields{
			"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "GroupBinding", "metadata": fields{"name": "mb-raw", "labels": fields{"kubesphere.io/workspace": "mb-space"}},
			"groupRef": fields{"apiGroup": "iam.kubesphere.io", "kind": "Group", "name": "mb-group-51"}, "users": []string{victim.name},
		},
	} {
		owner.must(t, 403, "POST", path, body)
	}
	// Another user has room, and an administrator needs none.
	owner.must(t, 200, "POST", space+"/groupbindings", []fields{{"userName": owner.name, "groupName": "mb-group-51"}})
	admin.must(t, 200, "POST", space+"/groupbindings", added[50:51])
	victim.must(t, 200, "GET", "/api", nil)
	// The victim, who may do nothing in the workspace, sees the groups and leaves one.
	const own = iamPath + "/users/mb-victim/groupbindings"
	var bound iamv1alpha2.GroupBindingList
	wait.For(t, "the memberships", func() error {
		bound = decode[iamv1alpha2.GroupBindingList](t, victim.must(t, 200, "GET", own+"?limit=100", nil))
		if len(bound.Items) != 51 {
			return fmt.Errorf("%d memberships", len(bound.Items))
		}
		return nil
	})
	left := bound.Items[0]
	owner.must(t, 403, "GET", own, nil)
	owner.must(t, 403, "DELETE", own+"/"+left.Name, nil)
	victim.must(t, 403, "DELETE", space+"/groupbindings/"+left.Name, nil)
	victim.must(t, 200, "DELETE", own+"/"+left.Name, nil)
	victim.must(t, 404, "DELETE", own+"/"+left.Name, nil)
	owner.must(t, 404, "DELETE", iamPath+"/users/mb-owner/groupbindings/"+bound.Items[1].Name, nil)
	stored := &iamv1alpha2.User{}
	if err := kubernetes(t, "").Get(t.Context(), client.ObjectKey{Name: victim.name}, stored); err != nil || len(stored.Spec.Groups) != 50 || slices.Contains(stored.Spec.Groups, left.GroupRef.Name) {
		t.Errorf("left %s: %d groups, %v", left.GroupRef.Name, len(stored.Spec.Groups), err)
	}
}

// TestVeryManyGroups: a user with more groups than kube-apiserver accepts got 431 for all
// requests to Kubernetes.
func TestVeryManyGroups(t *testing.T) {
	t.Parallel()
	c, token := kubernetes(t, ""), user(t, "mb-many")
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "mb-many"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "mb-many-19999"}},
	})
	wait.For(t, "the groups", func() error {
		many := &iamv1alpha2.User{}
		if err := c.Get(t.Context(), client.ObjectKey{Name: "mb-many"}, many); err != nil {
			return err
		}
		many.Spec.Groups = nil
		for n := range 20_000 {
			many.Spec.Groups = append(many.Spec.Groups, fmt.Sprintf("mb-many-%05d", n))
		}
		return c.Update(t.Context(), many)
	})
	// The right by the last group counts, though Kubernetes is not told of it.
	answers(t, "GET", "/api/v1/namespaces/default/configmaps", token, 200)
	for _, path := range []string{"/api", "/apis", "/api/v1/namespaces/default/pods", iamPath + "/users/mb-many"} {
		answers(t, "GET", path, token, 200)
	}
	metrics := shared.get(t, "/metrics", bearer(shared.login(t).AccessToken))
	if metrics.code != http.StatusOK || !strings.Contains(string(metrics.body), "ks_apiserver_group_omissions_total ") || strings.Contains(string(metrics.body), "ks_apiserver_group_omissions_total 0\n") {
		t.Error("the groups that were left out are not counted")
	}
}

// TestRolesDoNotProtect: a role in a workspace, which its administrators give anyone,
// protected its holder from being disabled and deleted by those who manage users.
func TestRolesDoNotProtect(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "POST", iamPath+"/globalroles", fields{"metadata": fields{"name": "mb-managers", "annotations": fields{"iam.kubesphere.io/aggregation-roles": `["role-template-manage-users","role-template-view-users"]`}}})
	t.Cleanup(func() { dropped(t, iamPath+"/globalroles/mb-managers") })
	owner := newPerson(t, "mb-provisioner", "platform-self-provisioner")
	manager, fresh := newPerson(t, "mb-manager", "mb-managers"), newPerson(t, "mb-fresh", "")
	newSpace(t, "mb-shield", owner)
	answers(t, "GET", iamPath+"/workspaces/mb-shield/workspacemembers", owner.token, 200)
	answers(t, "GET", iamPath+"/users/mb-fresh", manager.token, 200)
	owner.must(t, 200, "POST", iamPath+"/workspaces/mb-shield/workspacemembers", []fields{{"username": fresh.name, "roleRef": "mb-shield-admin"}})
	answers(t, "GET", iamPath+"/workspaces/mb-shield/workspacemembers", fresh.token, 200)

	state := func(code int, name, state, email string) {
		t.Helper()
		manager.must(t, code, "PUT", iamPath+"/users/"+name, fields{"metadata": fields{"name": name}, "spec": fields{"email": email}, "status": fields{"state": state}})
	}
	manager.must(t, 403, "PUT", iamPath+"/users/mb-fresh/password", fields{"password": "Newpass-of-1984"})
	state(403, "mb-fresh", "Active", "taken-over@example.com")
	state(403, "mb-fresh", "Disabled", "taken-over@example.com")
	state(200, "mb-fresh", "Disabled", "mb-fresh@example.com")
	answers(t, "GET", iamPath+"/workspaces/mb-shield/workspacemembers", fresh.token, 401)
	state(200, "mb-fresh", "Active", "mb-fresh@example.com")
	manager.must(t, 200, "DELETE", iamPath+"/users/mb-fresh", nil)
	// The user of that name starts without the roles of the one before.
	manager.must(t, 200, "POST", iamPath+"/users", newUser("mb-fresh", ""))
	again := shared.as(t, "mb-fresh", passwordOf("mb-fresh"))
	again.must(t, 403, "GET", iamPath+"/workspaces/mb-shield/workspacemembers", nil)
	// Administrators are out of reach, and so is who may do more on the platform.
	for _, name := range []string{"admin", "mb-provisioner"} {
		state(403, name, "Disabled", name+"@example.com")
		manager.must(t, 403, "DELETE", iamPath+"/users/"+name, nil)
	}
	for _, method := range []string{"DELETE", "GET"} { // at Kubernetes' API users are for administrators
		manager.must(t, 403, method, "/apis/iam.kubesphere.io/v1alpha2/users/mb-fresh", nil)
	}
}

// TestManagerOfATokensWorkspace: a personal access token without the scope to give roles
// made another user the administrator of a new workspace.
func TestManagerOfATokensWorkspace(t *testing.T) {
	t.Parallel()
	friend, admin := newPerson(t, "mb-friend", ""), shared.as(t, "admin", adminPassword)
	creates := []string{"tenant.kubesphere.io/workspaces:create,update", "tenant.kubesphere.io/workspacetemplates:create,update"}
	without := personalToken(t, admin, "admin", creates...)
	with := personalToken(t, admin, "admin", append(creates, "iam.kubesphere.io/workspacerolebindings:create")...)
	for _, name := range []string{"mb-t1", "mb-t2", "mb-t3"} {
		t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/"+name) })
	}
	template := func(name, manager string) string {
		return `{"apiVersion":"tenant.kubesphere.io/v1alpha2","kind":"WorkspaceTemplate","metadata":{"name":"` + name + `"},"spec":{"template":{"spec":{"manager":"` + manager + `"}}}}`
	}
	const raw = "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates"
	attempts(t, []attempt{
		{"another user", without, "POST", tenantPath + "/workspaces", template("mb-t1", friend.name), nil, 403},
		{"another user as a template", without, "POST", strings.Replace(tenantPath, "v1alpha2", "v1alpha3", 1) + "/workspacetemplates", template("mb-t1", friend.name), nil, 403},
		{"another user at Kubernetes' API", without, "POST", raw, template("mb-t1", friend.name), nil, 403},
		{"and with the scope", with, "POST", raw, template("mb-t1", friend.name), nil, 403},
		{"the owner", without, "POST", tenantPath + "/workspaces", template("mb-t1", "admin"), nil, 200},
		{"nobody, which is the owner", without, "POST", tenantPath + "/workspaces", template("mb-t2", ""), nil, 200},
		{"another user later", without, "PUT", tenantPath + "/workspaces/mb-t1", template("mb-t1", friend.name), nil, 403},
		{"another user with the scope", with, "POST", tenantPath + "/workspaces", template("mb-t3", friend.name), nil, 200},
	})
}

// TestLookups: whoever invites others finds users, and learns nothing of their roles and of
// the members of other places.
func TestLookups(t *testing.T) {
	t.Parallel()
	prov := newPerson(t, "lookup-prov", "platform-self-provisioner")
	workspace(t, "lookup-other")
	t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/lookup-own") })
	prov.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace("lookup-own", "lookup-prov"))
	wait.For(t, "the manager to invite", func() error {
		if r := prov.call(t, "GET", users+"?name=admin", nil); r.code != 200 {
			return fmt.Errorf("%d %s", r.code, r.body)
		}
		return nil
	})
	if r := prov.must(t, 200, "GET", users+"?name=admin", nil); strings.Contains(string(r.body), "platform-admin") || strings.Contains(string(r.body), "lastLoginTime") || !strings.Contains(string(r.body), `"admin"`) {
		t.Errorf("a user that is looked up: %s", r.body)
	}
	for query, code := range map[string]int{
		"globalrole=platform-admin": 403, "workspace=lookup-own": 200, "workspace=lookup-other": 403, "namespace=kube-system": 403, "namespace=lookup-other-project": 403,
		"ingroup=lookup-none": 403,
	} {
		prov.must(t, code, "GET", users+"?"+query, nil)
		shared.as(t, "admin", adminPassword).must(t, 200, "GET", users+"?"+query, nil)
	}
}
