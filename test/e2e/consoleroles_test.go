//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestWorkspaceNames: the name of a workspace takes nothing from others.
func TestWorkspaceNames(t *testing.T) {
	t.Parallel()
	wadmin, wmember, prov := newPerson(t, "nm-ws-wadmin", "platform-regular"), newPerson(t, "nm-ws-wmember", "platform-regular"), newPerson(t, "nm-ws-prov", "platform-self-provisioner")
	newSpace(t, "nm-ws", wadmin)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-ws/namespaces", newNamespace("nm-ws-p1"))
	wadmin.must(t, 200, "POST", iamPath+"/workspaces/nm-ws/workspaceroles", fields{"metadata": fields{"name": "nm-crew-admin"}, "rules": []fields{{"apiGroups": []string{""}, "resources": []string{"pods"}, "verbs": []string{"get", "list"}}}})
	wadmin.must(t, 200, "POST", iamPath+"/workspaces/nm-ws/workspacemembers", []fields{{"username": wmember.name, "roleRef": "nm-crew-admin"}})
	wmember.must(t, 200, "GET", "/api/v1/namespaces/nm-ws-p1/pods", nil)
	prov.must(t, 409, "POST", tenantPath+"/workspaces", newWorkspace("nm-crew", ""))
	wmember.must(t, 200, "GET", "/api/v1/namespaces/nm-ws-p1/pods", nil)
	wadmin.must(t, 200, "GET", iamPath+"/workspaces/nm-ws/workspaceroles/nm-crew-admin", nil)
	// Not by kubectl either: the reconciler leaves it as it is.
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 201, "POST", "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates", newWorkspace("nm-crew", prov.name))
	t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/nm-crew") })
	c, role := kubernetes(t, ""), &iamv1alpha2.WorkspaceRole{}
	wait.For(t, "the workspace to be made", func() error { // the reconciler has been there
		return c.Get(t.Context(), clientKey("nm-crew"), &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: "tenant.kubesphere.io/v1alpha1", Kind: "Workspace"}})
	})
	admin.must(t, 200, "DELETE", tenantPath+"/workspaces/nm-crew", nil)
	if err := c.Get(t.Context(), clientKey("nm-crew-admin"), role); err != nil || role.Labels["kubesphere.io/workspace"] != "nm-ws" {
		t.Errorf("the role is %+v, %v", role.ObjectMeta, err)
	}
	wmember.must(t, 200, "GET", "/api/v1/namespaces/nm-ws-p1/pods", nil)
}

// TestSystemWorkspace: it is there, with the namespaces of the system.
func TestSystemWorkspace(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	admin.must(t, 200, "GET", tenantPath+"/workspaces/system-workspace", nil)
	r := admin.must(t, 200, "GET", tenantPath+"/workspaces/system-workspace/namespaces?limit=-1", nil)
	var names []string
	for _, item := range decode[list](t, r).Items {
		names = append(names, item.Metadata.Name)
	}
	for _, want := range []string{"kube-system", "kube-public", "kubesphere-system", "default"} {
		if !slices.Contains(names, want) {
			t.Errorf("%s is not among %v", want, names)
		}
	}
	admin.must(t, 403, "DELETE", tenantPath+"/workspaces/system-workspace", nil)
}

// TestConsoleRoles: what the console of 3.4 offers, and what it sends.
func TestConsoleRoles(t *testing.T) {
	t.Parallel()
	wadmin := newPerson(t, "nm-role-wadmin", "platform-regular")
	newSpace(t, "nm-role", wadmin)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/nm-role/namespaces", newNamespace("nm-role-p1"))
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	for _, path := range []string{"/globalroles", "/clusterroles", "/workspaces/nm-role/workspaceroles", "/namespaces/nm-role-p1/roles"} {
		r := admin.must(t, 200, "GET", iamPath+path+"?annotation=kubesphere.io/creator&limit=-1", nil)
		all := decode[list](t, r)
		for _, item := range all.Items {
			if strings.HasPrefix(item.Metadata.Name, "role-template-") {
				t.Errorf("%s offers %s", path, item.Metadata.Name)
			}
		}
		if len(all.Items) < 2 {
			t.Errorf("%s offers %d roles", path, len(all.Items))
		}
	}
	made := func(name, templates string) fields {
		return fields{"metadata": fields{"name": name, "annotations": fields{"iam.kubesphere.io/aggregation-roles": templates}}, "rules": []any{}}
	}
	const roles = iamPath + "/namespaces/nm-role-p1/roles"
	if r := wadmin.must(t, 200, "POST", roles, made("basic", `["role-template-view-basic","role-template-view-app-workloads"]`)); len(decode[rbacv1.Role](t, r).Rules) < 2 || r.header.Get("Warning") != "" {
		t.Errorf("a role as the console makes it: %v %s", r.header, r.body)
	}
	// A template that is to come counts when it comes.
	r := wadmin.must(t, 200, "POST", iamPath+"/workspaces/nm-role/workspaceroles", made("nm-role-later", `["nm-role-template","role-template-view-basic"]`))
	if !strings.Contains(r.header.Get("Warning"), "nm-role-template") {
		t.Errorf("no warning: %v", r.header)
	}
	create(t, c, &iamv1alpha2.WorkspaceRole{
		ObjectMeta: metav1.ObjectMeta{Name: "nm-role-template", Labels: map[string]string{"iam.kubesphere.io/role-template": "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"nm.example.com"}, Resources: []string{"things"}, Verbs: []string{"get"}}},
	})
	wait.For(t, "the role to follow its templates", func() error {
		role := &iamv1alpha2.WorkspaceRole{}
		if err := c.Get(t.Context(), clientKey("nm-role-later"), role); err != nil {
			return err
		}
		if !slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.APIGroups, "nm.example.com") }) {
			return fmt.Errorf("rules %v", role.Rules)
		}
		return nil
	})
	// Names are made, and wrong ones are Kubernetes' errors.
	generated := decode[rbacv1.Role](t, wadmin.must(t, 200, "POST", roles, fields{"metadata": fields{"generateName": "made-"}, "rules": []any{}}))
	if !strings.HasPrefix(generated.Name, "made-") || len(generated.Name) != len("made-")+5 {
		t.Errorf("generated %q", generated.Name)
	}
	wadmin.must(t, 422, "POST", roles, fields{"metadata": fields{}, "rules": []any{}})
	wadmin.must(t, 422, "POST", iamPath+"/workspaces/nm-role/workspaceroles", fields{"metadata": fields{"generateName": "Not_A_Name-"}, "rules": []any{}})
}

// TestAddresses: domains have no case, and not every user has an address.
func TestAddresses(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	with := func(name, email string) fields {
		body := newUser(name, "")
		body["spec"].(fields)["email"] = email
		return body
	}
	for _, name := range []string{"nm-dee", "nm-none", "nm-neither"} {
		t.Cleanup(func() { dropped(t, iamPath+"/users/"+name) })
	}
	admin.must(t, 200, "POST", iamPath+"/users", with("nm-dee", "nm-dee@Example.com"))
	shared.as(t, "nm-dee@example.com", passwordOf("nm-dee"))
	shared.as(t, "nm-dee@EXAMPLE.COM", passwordOf("nm-dee"))
	admin.must(t, 409, "POST", iamPath+"/users", with("nm-dum", "nm-dee@example.com"))
	if err := expectItems(admin.must(t, 200, "GET", iamPath+"/users?email=nm-dee@example.COM", nil), 1); err != nil {
		t.Error(err)
	}
	admin.must(t, 200, "POST", iamPath+"/users", with("nm-none", ""))
	admin.must(t, 200, "POST", iamPath+"/users", with("nm-neither", ""))
	shared.as(t, "nm-none", passwordOf("nm-none"))
}

// TestDeleteManagers: a manager's deletion is answered with what became of it.
func TestDeleteManagers(t *testing.T) {
	t.Parallel()
	admin := shared.as(t, "admin", adminPassword)
	for n := range 8 {
		name := fmt.Sprintf("nm-mgr-%d", n)
		admin.must(t, 200, "POST", iamPath+"/users", newUser(name, "platform-regular"))
		admin.must(t, 200, "POST", tenantPath+"/workspaces", newWorkspace(name, name))
		t.Cleanup(func() { dropped(t, tenantPath+"/workspaces/"+name) })
		admin.must(t, 200, "DELETE", iamPath+"/users/"+name, nil)
	}
}
