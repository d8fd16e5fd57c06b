package authz

import (
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// TestRoleGroups: Kubernetes is told of the roles that count where a request takes place,
// and of no others.
func TestRoleGroups(t *testing.T) {
	d := places()
	d.role("reader", rules("get", "*", "*")...)
	d.bind("reader", rbacv1.Subject{Kind: rbacv1.UserKind, Name: "reader"}, rbacv1.Subject{Kind: rbacv1.UserKind, Name: "w-admin"})
	d.role("platform-admin", rules("get", "*", "*")...)
	d.bind("platform-admin", rbacv1.Subject{Kind: rbacv1.UserKind, Name: "lesser"})
	d.bind("gone", rbacv1.Subject{Kind: rbacv1.UserKind, Name: "reader"})
	rbac := &RBAC{Source: d}
	for _, test := range []struct {
		who   string
		scope Scope
		want  []string
	}{
		{"global", Scope{Cluster: ThisCluster}, []string{"kubesphere:administrators"}}, // by whatever role
		{"global", Scope{Namespace: "w1"}, []string{"kubesphere:administrators"}},
		{"lesser", Scope{Cluster: ThisCluster}, []string{"kubesphere:global:platform-admin"}}, // a role that somebody narrowed
		{"reader", Scope{Cluster: ThisCluster}, []string{"kubesphere:global:reader"}},
		{"w-admin", Scope{Cluster: ThisCluster}, []string{"kubesphere:global:reader"}},
		{"w-admin", Scope{Namespace: "w1"}, []string{"kubesphere:global:reader", "kubesphere:workspace:w:uid-w:w-admin"}},
		{"w-admin", Scope{Namespace: "v1"}, []string{"kubesphere:global:reader"}},
		{"w-admin", Scope{Namespace: "none"}, []string{"kubesphere:global:reader"}},
		{"mixed", Scope{Namespace: "w1"}, nil}, // by a role of another workspace
		{"admin", Scope{Namespace: "w1"}, nil}, // that role is Kubernetes' own
		{"without-roles", Scope{Namespace: "w1"}, nil},
	} {
		got, err := rbac.RoleGroups(t.Context(), &user.DefaultInfo{Name: test.who}, test.scope, func(workspace string) string { return "uid-" + workspace })
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s in %v: %v, %v, not %v", test.who, test.scope, got, err, test.want)
		}
	}
}
