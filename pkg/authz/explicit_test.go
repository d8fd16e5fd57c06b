package authz

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// TestListedVerbs: a user who has everything in a namespace with the verbs listed gives and
// takes what a role with "*" gives through this server, and makes no such role, since
// kube-apiserver reads more into it.
func TestListedVerbs(t *testing.T) {
	d := places()
	rbac := &RBAC{Source: d}
	for name, given := range map[string][]rbacv1.PolicyRule{
		"lister": iam.ExplicitVerbs(Everything()), "stars": Everything(), "reader": rules("get,list", "*", "*"), "powers": rules("impersonate", "", "serviceaccounts"),
	} {
		set(&d.rights.Roles, roleName, adding(&iam.Role{Name: name, Namespace: "w1", Rules: given}))
		set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{
			Name: name, Namespace: "w1", RoleRef: rbacv1.RoleRef{Kind: "Role", Name: name}, Subjects: []rbacv1.Subject{{Kind: "User", Name: name}},
		}))
	}
	in, roles := Scope{Namespace: "w1"}, schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
	role := func(name string) rbacv1.RoleRef { return rbacv1.RoleRef{Kind: "Role", Name: name} }
	ok := func(err error) bool { return err == nil }
	for _, test := range []struct {
		name, who string
		err       func(who user.Info) error
		want      func(error) bool
	}{
		{"a role of listed verbs", "lister", func(who user.Info) error {
			return rbac.MayWriteRole(t.Context(), who, in, roles, "a", EverythingIn(in))
		}, ok},
		{"a role of stars", "lister", func(who user.Info) error { return rbac.MayWriteRole(t.Context(), who, in, roles, "a", Everything()) }, apierrors.IsForbidden},
		{"with stars both", "stars", func(who user.Info) error {
			return rbac.MayWriteRole(t.Context(), who, in, roles, "a", EverythingIn(in))
		}, ok},
		{"a power", "lister", func(who user.Info) error {
			return rbac.MayWriteRole(t.Context(), who, in, roles, "a", rules("impersonate", "", "serviceaccounts"))
		}, apierrors.IsForbidden},
		{"a user gets stars", "lister", func(who user.Info) error { return rbac.MayBindUsers(t.Context(), who, in, role("stars")) }, ok},
		{"a service account does not", "lister", func(who user.Info) error { return rbac.MayBind(t.Context(), who, in, role("stars")) }, apierrors.IsForbidden},
		{"a user gets no powers", "lister", func(who user.Info) error { return rbac.MayBindUsers(t.Context(), who, in, role("powers")) }, apierrors.IsForbidden},
		{"nor from who has less", "reader", func(who user.Info) error { return rbac.MayBindUsers(t.Context(), who, in, role("stars")) }, apierrors.IsForbidden},
		{"a role to come for users", "lister", func(who user.Info) error { return rbac.MayBindUsers(t.Context(), who, in, role("none")) }, ok},
		{"a role to come for service accounts", "lister", func(who user.Info) error { return rbac.MayBind(t.Context(), who, in, role("none")) }, apierrors.IsNotFound},
		{"stars are taken", "lister", func(who user.Info) error { return rbac.MayRevoke(t.Context(), who, in, role("stars")) }, ok},
		{"stars are narrowed", "lister", func(who user.Info) error { return rbac.MayNarrow(t.Context(), who, in, roles, "stars", Everything()) }, ok},
		{"not by who has less", "reader", func(who user.Info) error { return rbac.MayNarrow(t.Context(), who, in, roles, "stars", Everything()) }, apierrors.IsForbidden},
		{"nor elsewhere", "lister", func(who user.Info) error {
			return rbac.MayNarrow(t.Context(), who, Scope{Namespace: "w2"}, roles, "stars", Everything())
		}, apierrors.IsForbidden},
		{"nor in the cluster", "lister", func(who user.Info) error {
			return rbac.MayBindUsers(t.Context(), who, Scope{Cluster: ThisCluster}, rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster"})
		}, apierrors.IsForbidden},
	} {
		if err := test.err(&user.DefaultInfo{Name: test.who}); !test.want(err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	given, err := rbac.Templates(t.Context(), "Role", []string{"role-template-any"})
	if err != nil || len(given) != 1 || len(given[0].Verbs) != 8 {
		t.Errorf("a template of roles in namespaces stands for %v, %v", given, err)
	}
	if excess, err := rbac.FindExcess(t.Context(), &user.DefaultInfo{Name: "lister"}, &user.DefaultInfo{Name: "stars"}); err != nil || excess != nil {
		t.Errorf("who has stars has more: %v, %v", excess, err)
	}
}
