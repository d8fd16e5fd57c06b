package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

var errNotHeld = errors.New("the role is not held")

// revokerFunc adapts a function to the Revoker interface.
type revokerFunc func(scope Scope, ref rbacv1.RoleRef) error

func (f revokerFunc) MayRevoke(_ context.Context, _ user.Info, scope Scope, ref rbacv1.RoleRef) error {
	return f(scope, ref)
}

// TestCheckRevoke: users give up their own roles freely; the revoker decides
// about roles of others.
func TestCheckRevoke(t *testing.T) {
	scope, ref := Scope{Namespace: "n"}, rbacv1.RoleRef{Kind: "Role", Name: "admin"}
	jane := UserSubjects("jane")
	for _, test := range []struct {
		name     string
		subjects []rbacv1.Subject
		held     bool
		want     error
	}{
		{"the own role", jane, false, nil},
		{"the own role, named twice", append(UserSubjects("jane"), jane...), false, nil},
		{"no subjects", nil, false, nil},
		{"the role of another user", UserSubjects("john"), false, errNotHeld},
		{"the role of another user, held", UserSubjects("john"), true, nil},
		{"the own role with that of another user", UserSubjects("jane", "john"), false, errNotHeld},
		{"the role of a group with the name of the user", []rbacv1.Subject{{Kind: rbacv1.GroupKind, Name: "jane"}}, false, errNotHeld},
		{"the role of a service account with the name of the user", []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "jane", Namespace: "n"}}, false, errNotHeld},
	} {
		t.Run(test.name, func(t *testing.T) {
			revoker := revokerFunc(func(gotScope Scope, gotRef rbacv1.RoleRef) error {
				if gotScope != scope || gotRef != ref {
					t.Errorf("asked about %v in %v", gotRef, gotScope)
				}
				if test.held {
					return nil
				}
				return errNotHeld
			})
			if err := CheckRevoke(t.Context(), revoker, &user.DefaultInfo{Name: "jane"}, scope, ref, test.subjects); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestNarrowLargeRoles: a role with more combinations than are compared is taken by
// holders of all rights alone.
func TestNarrowLargeRoles(t *testing.T) {
	numbered := func(prefix string, count int) []string {
		all := make([]string, count)
		for n := range all {
			all[n] = fmt.Sprint(prefix, n)
		}
		return all
	}
	large := []rbacv1.PolicyRule{{Verbs: numbered("v", 400), APIGroups: []string{""}, Resources: numbered("r", 400)}}
	paths := []rbacv1.PolicyRule{{Verbs: numbered("v", 400), NonResourceURLs: numbered("/p", 400)}}
	all := append(Everything(), rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
	resource := rbacv1.Resource("roles")
	for _, test := range []struct {
		name, kind  string
		held, rules []rbacv1.PolicyRule
		deletes     bool
	}{
		{"few rules", "Role", rules("get", "", "pods"), large, false},
		{"the same rules", "Role", large, large, false},
		{"all rights in the project", "Role", Everything(), large, true},
		{"all rights on the platform", "GlobalRole", Everything(), large, true},
		{"all rights on resources, of a role with paths", "GlobalRole", Everything(), append(paths, large...), false},
		{"all rights, of a role with paths", "GlobalRole", all, append(paths, large...), true},
	} {
		rbac := &RBAC{Source: one(test.kind, test.held...)}
		err := rbac.MayNarrow(t.Context(), &user.DefaultInfo{Name: "u"}, Scope{Namespace: "n"}, resource, "large", test.rules)
		if (err == nil) != test.deletes || err != nil && (!apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "too many combinations")) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// TestCheckRoleDeletion: the roles the platform came with are deleted by holders of all
// rights in the cluster, and those with reserved names as the register says.
func TestCheckRoleDeletion(t *testing.T) {
	builtIn := map[string]string{"kubesphere.io/creator": "system"}
	for _, test := range []struct {
		name        string
		kind        reserved.Kind
		resource    schema.GroupResource
		annotations map[string]string
		by          map[string]bool // kinds of roles with everything
	}{
		{"operator", reserved.Role, rbacv1.Resource("roles"), builtIn, map[string]bool{"ClusterRole": true, "GlobalRole": true}},
		{"mine", reserved.Role, rbacv1.Resource("roles"), nil, map[string]bool{"Role": true, "WorkspaceRole": true, "ClusterRole": true, "GlobalRole": true}},
		{"kubesphere:rules", reserved.Role, rbacv1.Resource("roles"), nil, map[string]bool{"GlobalRole": true}},
		{"system:x", reserved.Role, rbacv1.Resource("roles"), nil, map[string]bool{"ClusterRole": true, "GlobalRole": true}},
		{"w-admin", reserved.WorkspaceRole, iamv1alpha2.Resource("workspaceroles"), builtIn, map[string]bool{"GlobalRole": true}},
	} {
		for _, kind := range []string{"Role", "WorkspaceRole", "ClusterRole", "GlobalRole"} {
			rbac := &RBAC{Source: one(kind, Everything()...)}
			role := &metav1.ObjectMeta{Name: test.name, Annotations: test.annotations}
			err := CheckRoleDeletion(t.Context(), rbac, &user.DefaultInfo{Name: "u"}, test.kind, Scope{Namespace: "n"}, test.resource, role, rules("get", "", "pods"))
			if (err == nil) != test.by[kind] {
				t.Errorf("%s deleted by a %s: %v", test.name, kind, err)
			}
		}
	}
}
