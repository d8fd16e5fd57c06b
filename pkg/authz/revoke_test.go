package authz

import (
	"context"
	"errors"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
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
