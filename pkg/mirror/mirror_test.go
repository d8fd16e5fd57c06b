package mirror

import (
	"maps"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

func all[T any](items ...*T) iam.Objects[T] { return iam.Objects[T]{Revision: 1, Items: items} }

func rules(verbs, resources string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{verbs}, APIGroups: []string{"*"}, Resources: []string{resources}}}
}

// source has two workspaces with a role each that have the same rules, and one role that
// nobody has.
func source() Source {
	jane := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}}
	ref := func(kind, name string) rbacv1.RoleRef { return rbacv1.RoleRef{Kind: kind, Name: name} }
	return Source{
		Served: []authz.ServedResource{
			{Resource: "pods", Namespaced: true}, {Resource: "nodes"}, {Resource: "namespaces"}, {Group: "apps", Resource: "deployments", Namespaced: true},
		},
		UIDs: map[string]string{"a": "uid-a", "b": "uid-b"},
		Rights: iam.Rights{
			GlobalRoles: all(
				&iam.Role{Name: "admins", Rules: authz.Everything()}, &iam.Role{Name: "nothing", Rules: rules("get", "gone")},
				&iam.Role{Name: "readers", Rules: rules("get", "*")}, &iam.Role{Name: "unused", Rules: rules("list", "*")},
			),
			GlobalRoleBindings: all(
				&iam.Binding{Name: "admins", RoleRef: ref("GlobalRole", "admins"), Subjects: jane}, &iam.Binding{Name: "nothing", RoleRef: ref("GlobalRole", "nothing"), Subjects: jane},
				&iam.Binding{Name: "readers", RoleRef: ref("GlobalRole", "readers"), Subjects: jane}, &iam.Binding{Name: "unused", RoleRef: ref("GlobalRole", "unused")},
			),
			WorkspaceRoles: all(
				&iam.Role{Name: "a-admin", Workspace: "a", Rules: authz.Everything()}, &iam.Role{Name: "b-admin", Workspace: "b", Rules: authz.Everything()},
			),
			WorkspaceRoleBindings: all(
				&iam.Binding{Name: "a", Workspace: "a", RoleRef: ref("WorkspaceRole", "a-admin"), Subjects: jane}, &iam.Binding{Name: "b", Workspace: "b", RoleRef: ref("WorkspaceRole", "b-admin"), Subjects: jane},
				&iam.Binding{Name: "foreign", Workspace: "b", RoleRef: ref("WorkspaceRole", "a-admin"), Subjects: jane},
			),
			Namespaces: all(
				&iam.Namespace{Name: "a-1", Workspace: "a"}, &iam.Namespace{Name: "a-2", Workspace: "a"}, &iam.Namespace{Name: "b-1", Workspace: "b"},
				&iam.Namespace{Name: "kubesphere-system", Workspace: "a"}, &iam.Namespace{Name: "none"},
			),
		},
	}
}

// TestOf: roles that somebody has are mirrored, in the cluster or in the namespaces of their
// workspace, one ClusterRole for each set of rules; none in the namespaces of the platform.
func TestOf(t *testing.T) {
	m := Of(source())
	if got := slices.Sorted(maps.Keys(m.ClusterBindings)); !slices.Equal(got, []string{"kubesphere:administrators", "kubesphere:global:readers"}) {
		t.Errorf("in the cluster: %v", got)
	}
	if got := m.ClusterBindings[authz.AdministratorsGroup]; got.Role != "cluster-admin" || got.Group != authz.AdministratorsGroup {
		t.Errorf("administrators: %v", got)
	}
	if len(m.ClusterRoles) != 2 { // readers, and the administrators of both workspaces
		t.Errorf("%d ClusterRoles", len(m.ClusterRoles))
	}
	var got []string
	for key, binding := range m.Bindings {
		role, _, _ := strings.Cut(strings.TrimPrefix(key.Name, "kubesphere:"), ":")
		got = append(got, key.Namespace+" "+role+" "+binding.Group)
		if m.ClusterRoles[binding.Role] == nil {
			t.Errorf("%v: no role %s", key, binding.Role)
		}
	}
	slices.Sort(got)
	if want := []string{"a-1 a-admin kubesphere:workspace:a:uid-a:a-admin", "a-2 a-admin kubesphere:workspace:a:uid-a:a-admin", "b-1 b-admin kubesphere:workspace:b:uid-b:b-admin"}; !slices.Equal(got, want) {
		t.Errorf("in namespaces: %v, not %v", got, want)
	}
}

// present is what there is when mirrors have been written.
func present(m Mirrors) iam.Rights {
	var r iam.Rights
	for _, name := range slices.Sorted(maps.Keys(m.ClusterRoles)) {
		r.ClusterRoles.Items = append(r.ClusterRoles.Items, &iam.Role{Name: name, Rules: m.ClusterRoles[name]})
	}
	for name, b := range m.ClusterBindings {
		r.ClusterRoleBindings.Items = append(r.ClusterRoleBindings.Items, &iam.Binding{Name: name, RoleRef: b.RoleRef(), Subjects: b.Subjects()})
	}
	for key, b := range m.Bindings {
		r.RoleBindings.Items = append(r.RoleBindings.Items, &iam.Binding{Name: key.Name, Namespace: key.Namespace, RoleRef: b.RoleRef(), Subjects: b.Subjects()})
	}
	return r
}

// TestDifference: what is there stays, what differs is replaced, and what is not wanted
// goes; objects of others are left alone.
func TestDifference(t *testing.T) {
	wanted := Of(source())
	if c := Difference(wanted, iam.Rights{}); len(c.CreateRoles) != 2 || len(c.CreateClusterBindings) != 2 || len(c.CreateBindings) != 3 || len(c.DeleteRoles) != 0 {
		t.Errorf("of nothing: %+v", c)
	}
	there := present(wanted)
	there.ClusterRoles.Items = append(there.ClusterRoles.Items, &iam.Role{Name: "view"})
	there.RoleBindings.Items = append(there.RoleBindings.Items, &iam.Binding{Name: "mine", Namespace: "a-1"})
	if c := Difference(wanted, there); !c.Empty() {
		t.Errorf("of what is there: %+v", c)
	}
	there.ClusterRoles.Items[0].Rules = nil
	there.ClusterRoles.Items = append(there.ClusterRoles.Items, &iam.Role{Name: "kubesphere:rules:old"})
	there.RoleBindings.Items[0].Subjects = []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "mallory"}}
	there.RoleBindings.Items = append(there.RoleBindings.Items, &iam.Binding{Name: "kubesphere:x:old", Namespace: "none"})
	there.ClusterRoleBindings.Items[0].RoleRef.Name = "other"
	c := Difference(wanted, there)
	if len(c.UpdateRoles) != 1 || !slices.Equal(c.DeleteRoles, []string{"kubesphere:rules:old"}) || len(c.ReplaceBindings) != 1 || len(c.CreateBindings) != 1 ||
		!slices.Equal(c.DeleteBindings, []types.NamespacedName{{Namespace: "none", Name: "kubesphere:x:old"}}) || len(c.ReplaceClusterBindings) != 1 || len(c.CreateClusterBindings) != 1 {
		t.Errorf("of what differs: %+v", c)
	}
}
