package iam

import (
	"maps"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestPlatformMembers: the members of the platform are those of the present bindings, and
// of several bindings of a user the first by name counts.
func TestPlatformMembers(t *testing.T) {
	binding := func(name, role, kind, subject string) string {
		return `{"metadata":{"name":"` + name + `","resourceVersion":"1"},"roleRef":{"kind":"GlobalRole","name":"` + role + `"},"subjects":[{"kind":"` + kind + `","name":"` + subject + `"}]}`
	}
	d, events := newDirectory(t, map[string][]string{"globalrolebindings": {
		binding("b", "regular", "User", "jane"), binding("a", "admin", "User", "jane"), binding("c", "regular", "User", "bob"), binding("d", "admin", "Group", "developers"),
	}})
	is := func(want map[string]string) bool {
		members, err := d.Members(t.Context(), Place{})
		if err != nil {
			t.Fatal(err)
		}
		return maps.Equal(members, want)
	}
	for range 2 { // the second time from memory
		if !is(map[string]string{"jane": "admin", "bob": "regular"}) {
			t.Fatal("the members are others")
		}
	}
	events["globalrolebindings"] <- `{"type":"DELETED","object":` + binding("a", "admin", "User", "jane") + `}`
	wait.Until(t, "the binding is gone", func() bool { return is(map[string]string{"jane": "regular", "bob": "regular"}) })
}
