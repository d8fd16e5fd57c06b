package mirror

import (
	"fmt"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// BenchmarkChanges is what looking for changes costs with 2,000 workspaces of 5 projects, in
// each of which somebody has 4 roles, when all mirrors are there.
func BenchmarkChanges(b *testing.B) {
	s := source()
	s.Rights = iam.Rights{}
	s.UIDs = make(map[string]string)
	jane := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}}
	var roles []*iam.Role
	var bindings []*iam.Binding
	var namespaces []*iam.Namespace
	for w := range 2000 {
		workspace := fmt.Sprint("workspace-", w)
		s.UIDs[workspace] = "uid-of-" + workspace
		for n, rules := range [][]rbacv1.PolicyRule{authz.Everything(), rules("get", "*"), rules("list", "*"), rules("create", "*")} {
			name := fmt.Sprint(workspace, "-role-", n)
			roles = append(roles, &iam.Role{Name: name, Workspace: workspace, Rules: rules})
			bindings = append(bindings, &iam.Binding{Name: name, Workspace: workspace, RoleRef: rbacv1.RoleRef{Kind: "WorkspaceRole", Name: name}, Subjects: jane})
		}
		for n := range 5 {
			namespaces = append(namespaces, &iam.Namespace{Name: fmt.Sprint(workspace, "-", n), Workspace: workspace})
		}
	}
	s.Rights.WorkspaceRoles, s.Rights.WorkspaceRoleBindings, s.Rights.Namespaces = all(roles...), all(bindings...), all(namespaces...)
	m := Of(s)
	for name, rules := range m.ClusterRoles {
		s.Rights.ClusterRoles.Items = append(s.Rights.ClusterRoles.Items, &iam.Role{Name: name, Rules: rules})
	}
	for name, one := range m.ClusterBindings {
		s.Rights.ClusterRoleBindings.Items = append(s.Rights.ClusterRoleBindings.Items, &iam.Binding{Name: name, RoleRef: one.RoleRef(), Subjects: one.Subjects()})
	}
	for key, one := range m.Bindings {
		s.Rights.RoleBindings.Items = append(s.Rights.RoleBindings.Items, &iam.Binding{Namespace: key.Namespace, Name: key.Name, RoleRef: one.RoleRef(), Subjects: one.Subjects()})
	}
	b.Run("anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if c := Difference(Of(s), s.Rights); !c.Empty() {
				b.Fatalf("%d bindings are made", len(c.CreateBindings))
			}
		}
	})
	b.Run("a change of a role", func(b *testing.B) {
		var known State
		known.Changes(s)
		others := rules("get", "pods")
		b.ReportAllocs()
		for b.Loop() {
			changed := *roles[4000]
			changed.Rules, others = others, changed.Rules
			next := s
			next.Rights.WorkspaceRoles.Items = slices.Clone(s.Rights.WorkspaceRoles.Items)
			next.Rights.WorkspaceRoles.Items[4000] = &changed
			if c := known.Changes(next); len(c.CreateBindings) > 5 {
				b.Fatalf("%d bindings are made", len(c.CreateBindings))
			}
		}
	})
}
