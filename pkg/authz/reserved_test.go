package authz

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// TestFindExcess: whoever acts on somebody holds all that somebody holds, in
// every scope.
func TestFindExcess(t *testing.T) {
	d := &directory{}
	everything := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	users := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"users", "users/password"}}}
	d.role("root", append(everything, rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})...)
	d.role("hr", users...)
	d.bind("root", rbacv1.Subject{Kind: "User", Name: "admin"})
	d.bind("hr", rbacv1.Subject{Kind: "User", Name: "hr"}, rbacv1.Subject{Kind: "User", Name: "colleague"})
	d.bind("missing", rbacv1.Subject{Kind: "User", Name: "plain"})
	set(&d.rights.ClusterRoles, roleName, adding(&iam.Role{Name: "cluster-admin", Rules: everything}))
	set(&d.rights.WorkspaceRoles, roleName, adding(&iam.Role{Name: "w-admin", Workspace: "w", Rules: everything}))
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "viewer", Namespace: "n", Rules: everything}))
	subject := func(kind, name string) []rbacv1.Subject { return []rbacv1.Subject{{Kind: kind, Name: name}} }
	set(&d.rights.ClusterRoleBindings, bindingName, adding(&iam.Binding{Name: "c", RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: subject("User", "cadmin")}))
	set(&d.rights.ClusterRoleBindings, bindingName, adding(&iam.Binding{Name: "g", RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: subject("Group", "ops")}))
	set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{Name: "w", Workspace: "w", RoleRef: rbacv1.RoleRef{Kind: "WorkspaceRole", Name: "w-admin"}, Subjects: subject("User", "wadmin")}))
	set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{Name: "r", Namespace: "n", RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "viewer"}, Subjects: subject("User", "viewer")}))
	rbac := &RBAC{Source: d}
	for _, test := range []struct {
		who, subject string
		groups       []string
		want         string // the scope of what is missing
	}{
		{"hr", "plain", nil, ""}, {"hr", "colleague", nil, ""}, {"hr", "nobody", nil, ""},
		{"hr", "admin", nil, "on the platform"}, {"hr", "cadmin", nil, "in the cluster host"}, {"hr", "wadmin", nil, "in the workspace w"},
		{"hr", "viewer", nil, "in the namespace n"}, {"hr", "plain", []string{"ops"}, "in the cluster host"},
		{"cadmin", "viewer", nil, ""}, {"wadmin", "cadmin", nil, "in the cluster host"}, {"viewer", "wadmin", nil, "in the workspace w"},
		{"admin", "cadmin", []string{"ops"}, ""}, {"admin", "wadmin", nil, ""}, {"viewer", "viewer", nil, ""},
	} {
		found, err := rbac.FindExcess(t.Context(), &user.DefaultInfo{Name: test.who}, &user.DefaultInfo{Name: test.subject, Groups: test.groups})
		if err != nil || (found == nil) != (test.want == "") || found != nil && found.Scope.String() != test.want {
			t.Errorf("%s on %s: %+v, %v, want %q", test.who, test.subject, found, err, test.want)
		}
	}
}

// TestFindPlatformExcess: roles in workspaces and namespaces, which their members give,
// protected users from being disabled and deleted.
func TestFindPlatformExcess(t *testing.T) {
	d := &directory{}
	everything := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	d.role("root", append(everything, rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})...)
	d.role("hr", rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"iam.kubesphere.io"}, Resources: []string{"users", "users/password"}})
	subject := func(kind, name string) []rbacv1.Subject { return []rbacv1.Subject{{Kind: kind, Name: name}} }
	d.bind("root", subject("User", "admin")...)
	d.bind("hr", subject("User", "hr")...)
	d.bind("root", subject("Group", "roots")...)
	set(&d.rights.ClusterRoles, roleName, adding(&iam.Role{Name: "cluster-admin", Rules: everything}))
	set(&d.rights.WorkspaceRoles, roleName, adding(&iam.Role{Name: "w-admin", Workspace: "w", Rules: everything}))
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "viewer", Namespace: "n", Rules: everything}))
	for _, kind := range []string{"User", "Group"} {
		set(&d.rights.ClusterRoleBindings, bindingName, adding(&iam.Binding{Name: "c" + kind, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: subject(kind, "cadmin")}))
		set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{Name: "w" + kind, Workspace: "w", RoleRef: rbacv1.RoleRef{Kind: "WorkspaceRole", Name: "w-admin"}, Subjects: subject(kind, "wadmin")}))
		set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{Name: "r" + kind, Namespace: "n", RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "viewer"}, Subjects: subject(kind, "viewer")}))
	}
	rbac := &RBAC{Source: d}
	for _, test := range []struct {
		who, subject, group, want string // the scope of what is missing
	}{
		{"hr", "wadmin", "", ""}, {"hr", "viewer", "", ""}, {"hr", "plain", "wadmin", ""}, {"hr", "plain", "viewer", ""},
		{"hr", "admin", "", "on the platform"}, {"hr", "wadmin", "roots", "on the platform"},
		{"hr", "cadmin", "", "in the cluster host"}, {"hr", "wadmin", "cadmin", "in the cluster host"},
		{"admin", "cadmin", "roots", ""}, {"hr", "hr", "", ""},
	} {
		found, err := rbac.FindPlatformExcess(t.Context(), &user.DefaultInfo{Name: test.who}, &user.DefaultInfo{Name: test.subject, Groups: []string{test.group}})
		if err != nil || (found == nil) != (test.want == "") || found != nil && found.Scope.String() != test.want {
			t.Errorf("%s on %s in %q: %+v, %v, want %q", test.who, test.subject, test.group, found, err, test.want)
		}
	}
}

// TestCheckName: reserved names are for who owns them.
func TestCheckName(t *testing.T) {
	d := &directory{}
	d.role("root", Everything()...)
	d.bind("root", rbacv1.Subject{Kind: "User", Name: "admin"})
	rbac, resource := &RBAC{Source: d}, schema.GroupResource{Resource: "users"}
	for _, test := range []struct {
		who, name string
		may       bool
	}{
		{"jane", "john", true}, {"jane", "admin", false}, {"admin", "admin", true}, {"admin", "system", false}, {"admin", "system:anonymous", false},
	} {
		if err := CheckName(t.Context(), rbac, &user.DefaultInfo{Name: test.who}, reserved.User, resource, test.name); (err == nil) != test.may {
			t.Errorf("%s names a user %s: %v", test.who, test.name, err)
		}
	}
	own := &metav1.ObjectMeta{Name: "n", Annotations: map[string]string{"kubesphere.io/creator": "jane"}}
	for who, may := range map[string]bool{"jane": true, "john": false, "admin": true} {
		if err := CheckFields(t.Context(), rbac, &user.DefaultInfo{Name: who}, schema.GroupResource{Resource: "namespaces"}, nil, own); (err == nil) != may {
			t.Errorf("%s: %v", who, err)
		}
	}
}
