//go:build e2e

package e2e

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// merge sends a merge patch.
func (p person) merge(t *testing.T, path, patch string) reply {
	t.Helper()
	return shared.do(t, "PATCH", path, strings.NewReader(patch), bearer(p.token), header("Content-Type", "application/merge-patch+json"))
}

// TestChangedReservedRoles: a user who may write roles changes neither those with reserved
// names nor templates, at both APIs.
func TestChangedReservedRoles(t *testing.T) {
	t.Parallel()
	kube := kubernetes(t, "")
	manager := newPerson(t, "chg-roles", "platform-regular")
	create(t, kube, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "chg-roles"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"globalroles", "workspaceroles", "clusterroles", "rolebases"}},
		{Verbs: []string{"*"}, APIGroups: []string{"rbac.authorization.k8s.io"}, Resources: []string{"clusterroles", "roles"}},
	}})
	create(t, kube, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "chg-roles"}, RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "chg-roles"}, Subjects: []rbacv1.Subject{subjectUser(manager.name)},
	})
	create(t, kube, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "chg-template", Labels: map[string]string{iamv1alpha2.LabelRoleTemplate: "true"}}})
	create(t, kube, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "chg-plain"}})
	const (
		global   = "/apis/iam.kubesphere.io/v1alpha2/globalroles/"
		cluster  = "/apis/rbac.authorization.k8s.io/v1/clusterroles/"
		describe = `{"metadata":{"annotations":{"chg":"x"}}}`
	)
	answers(t, "GET", global+"chg-plain", manager.token, 200)
	for _, name := range []string{"anonymous", "authenticated", "platform-regular", "chg-template"} {
		for _, patch := range []string{describe, `{"metadata":{"labels":{"chg":"x"}}}`, `{"metadata":{"labels":{"iam.kubesphere.io/role-template":null}}}`,
			`{"rules":[{"verbs":["get"],"apiGroups":["iam.kubesphere.io"],"resources":["globalroles"]}]}`} {
			for _, prefix := range []string{global, iamPath + "/globalroles/"} {
				if patch == `{"metadata":{"labels":{"iam.kubesphere.io/role-template":null}}}` && name != "chg-template" {
					continue // nothing changes
				}
				if r := manager.merge(t, prefix+name, patch); r.code != 403 {
					t.Errorf("PATCH %s%s %s: %d %.300s", prefix, name, patch, r.code, r.body)
				}
			}
		}
	}
	for _, name := range []string{"system:public-info-viewer", "system:discovery", "role-template-view-nodes"} {
		if err := kube.Get(t.Context(), client.ObjectKey{Name: name}, &rbacv1.ClusterRole{}); apierrors.IsNotFound(err) {
			continue
		}
		if r := manager.merge(t, cluster+name, describe); r.code != 403 {
			t.Errorf("PATCH %s: %d %.300s", name, r.code, r.body)
		}
	}
	for _, prefix := range []string{global, iamPath + "/globalroles/"} {
		if r := manager.merge(t, prefix+"chg-plain", describe); r.code != 200 {
			t.Errorf("PATCH of a role without a reserved name at %s: %d %.300s", prefix, r.code, r.body)
		}
		if r := manager.merge(t, prefix+"chg-plain", `{"metadata":{"labels":{"iam.kubesphere.io/role-template":"true"}}}`); r.code != 403 {
			t.Errorf("a template of a role at %s: %d %.300s", prefix, r.code, r.body)
		}
	}
	admin := shared.as(t, "admin", adminPassword)
	if r := admin.merge(t, global+"chg-template", describe); r.code != 200 {
		t.Errorf("by the administrator: %d %.300s", r.code, r.body)
	}
}

// TestChangedBindings: a role is taken by an update from subjects whose binding the
// caller could delete.
func TestChangedBindings(t *testing.T) {
	t.Parallel()
	kube := kubernetes(t, "")
	owner := newPerson(t, "chg-owner", "platform-regular")
	newSpace(t, "chg-space", owner)
	token := user(t, "chg-members")
	manager := person{name: "chg-members", token: token}
	inWorkspace(t, "chg-members", "chg-space", "regular")
	create(t, kube, &iamv1alpha2.WorkspaceRole{
		ObjectMeta: metav1.ObjectMeta{Name: "chg-space-members", Labels: map[string]string{"kubesphere.io/workspace": "chg-space"}},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"workspacerolebindings", "workspacemembers"}}},
	})
	inWorkspace(t, "chg-members", "chg-space", "members")
	create(t, kube, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "chg-bindings"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"workspacerolebindings"}},
	}})
	create(t, kube, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "chg-bindings"}, RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "chg-bindings"}, Subjects: []rbacv1.Subject{subjectUser("chg-members")},
	})
	create(t, kube, &iamv1alpha2.WorkspaceRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "chg-second", Labels: map[string]string{"kubesphere.io/workspace": "chg-space"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "WorkspaceRole", Name: "chg-space-admin"}, Subjects: []rbacv1.Subject{subjectUser("chg-other")},
	})
	path := "/apis/iam.kubesphere.io/v1alpha2/workspacerolebindings/chg-second"
	answers(t, "GET", path, token, 200)
	for _, patch := range []string{
		`{"roleRef":{"name":"chg-space-regular"}}`, `{"subjects":[]}`, `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"chg-members"}]}`,
	} {
		if r := manager.merge(t, path, patch); r.code != 403 {
			t.Errorf("PATCH %s: %d %.300s", patch, r.code, r.body)
		}
	}
	if r := shared.send(t, "DELETE", path, token, ""); r.code != 403 {
		t.Errorf("DELETE: %d %.300s", r.code, r.body)
	}
}

// TestNamesThatWait: who may give roles in a project or make roles in a workspace keeps
// no name from others.
func TestNamesThatWait(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "wait-owner", "platform-regular")
	newSpace(t, "wait-space", owner)
	owner.must(t, 200, "POST", tenantPath+"/workspaces/wait-space/namespaces", newNamespace("wait-project"))
	const bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/wait-project/rolebindings"
	owner.must(t, 201, "POST", bindings, fields{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": fields{"name": "wait-new"},
		"roleRef": fields{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "viewer"}, "subjects": []fields{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "wait-new"}},
	})
	wait.For(t, "the binding to be in the cache", func() error {
		return expectItems(shared.as(t, "admin", adminPassword).call(t, "GET", viewer+"/namespaces/wait-project/rolebindings?name=wait-new", nil), 1)
	})
	hr := newPerson(t, "wait-hr", "platform-regular")
	kube := kubernetes(t, "")
	create(t, kube, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "wait-users"}, Rules: []rbacv1.PolicyRule{
		{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"users", "users/password"}},
	}})
	create(t, kube, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "wait-users"}, RoleRef: rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "GlobalRole", Name: "wait-users"}, Subjects: []rbacv1.Subject{subjectUser(hr.name)},
	})
	answers(t, "GET", iamPath+"/users/wait-owner", hr.token, 200)
	t.Cleanup(func() { remove(t, kube, &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "wait-new"}}) })
	hr.must(t, 200, "POST", iamPath+"/users", newUser("wait-new", ""))
	if r := owner.call(t, "GET", bindings+"/wait-new", nil); r.code != 404 {
		t.Errorf("the binding from before: %d %s", r.code, r.body)
	}
}

// TestClustersOfWorkspaces: the clusters of the platform are not those of a workspace.
func TestClustersOfWorkspaces(t *testing.T) {
	t.Parallel()
	token := user(t, "clu-admin")
	create(t, kubernetes(t, ""), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "clu-admin"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{subjectUser("clu-admin")},
	})
	answers(t, "GET", "/api/v1/nodes", token, 200)
	for _, path := range []string{"/clusters", "/workspaces/w1/clusters"} {
		if r := shared.send(t, "GET", "/kapis/cluster.kubesphere.io/v1alpha1"+path, token, ""); r.code != 403 {
			t.Errorf("GET %s: %d %.200s", path, r.code, r.body)
		}
	}
}
