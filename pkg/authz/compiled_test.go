package authz

import (
	"fmt"
	"maps"
	"runtime"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// TestCompilingManyGrants: what users write into bindings, and how many they write, is
// worked off in proportion to its size. One with a subject 20,000 times stopped the
// server for 12 s.
func TestCompilingManyGrants(t *testing.T) {
	const many = 20_000
	jane := rbacv1.Subject{Kind: rbacv1.UserKind, Name: "jane"}
	role := rbacv1.RoleRef{Kind: kindRole, Name: "r"}
	repeated := make([]rbacv1.Subject, many)
	for n := range repeated {
		repeated[n] = jane
	}
	bindings := make([]*iam.Binding, many)
	for n := range bindings {
		bindings[n] = &iam.Binding{Namespace: "n", Name: fmt.Sprintf("b-%06d", n), RoleRef: role, Subjects: []rbacv1.Subject{jane}}
	}
	namespaces := make([]*iam.Namespace, many)
	for n := range namespaces {
		namespaces[n] = &iam.Namespace{Name: fmt.Sprintf("n-%06d", n), Workspace: "w"}
	}
	empty := iam.Rights{}
	for _, test := range []struct {
		name  string
		full  iam.Rights
		count func(*compiled) int
		want  int
	}{
		{
			name:  "a subject again and again in one binding",
			full:  iam.Rights{RoleBindings: iam.Objects[iam.Binding]{Revision: 1, Items: []*iam.Binding{{Namespace: "n", Name: "b", RoleRef: role, Subjects: repeated}}}},
			count: func(c *compiled) int { return len(c.users.get("jane").namespaces.get("n")) }, want: 1,
		},
		{
			name:  "bindings of one subject in a namespace",
			full:  iam.Rights{RoleBindings: iam.Objects[iam.Binding]{Revision: 1, Items: bindings}},
			count: func(c *compiled) int { return len(c.users.get("jane").namespaces.get("n")) }, want: many,
		},
		{
			name:  "namespaces of a workspace",
			full:  iam.Rights{Namespaces: iam.Objects[iam.Namespace]{Revision: 1, Items: namespaces}},
			count: func(c *compiled) int { return len(c.namespaces["w"]) }, want: many,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			state := compile(compile(nil, empty, time.Time{}), test.full, time.Time{})
			if got := test.count(state); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
			gone := empty
			gone.RoleBindings.Revision, gone.Namespaces.Revision = 2, 2
			if state = compile(state, gone, time.Time{}); len(maps.Collect(state.users.all()))+len(state.namespaces) != 0 {
				t.Errorf("left: %d users, %d workspaces", len(maps.Collect(state.users.all())), len(state.namespaces))
			}
			runtime.ReadMemStats(&after)
			if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 64<<20 {
				t.Errorf("%d MiB were allocated", allocated>>20)
			}
		})
	}
}

// TestRolesGivenAgain: bindings that give one role again and again cost what one costs.
func TestRolesGivenAgain(t *testing.T) {
	var roles distinct
	gone := 0
	for n := range 1000 {
		if roles.isNew(roleKey{kind: kindRole, name: fmt.Sprint(n % 3)}) {
			gone++
		}
	}
	if gone > 11 {
		t.Errorf("3 roles were gone through %d times", gone)
	}
	if !roles.isNew(roleKey{kind: kindRole, name: "other"}) {
		t.Error("a further role is left out")
	}
}
