package mirror

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// state is what a test has made so far, by name.
type state struct {
	globalRoles, roles, clusterRoles                      map[string]*iam.Role
	globalBindings, bindings, clusterBindings, inProjects map[string]*iam.Binding
	namespaces                                            map[string]*iam.Namespace
	uids                                                  map[string]string
	served                                                []authz.ServedResource
}

func sorted[T any](all map[string]*T, name func(*T) (string, string)) iam.Objects[T] {
	items := slices.Collect(maps.Values(all))
	slices.SortFunc(items, func(a, b *T) int {
		name1, namespace1 := name(a)
		name2, namespace2 := name(b)
		return cmp.Or(cmp.Compare(name1, name2), cmp.Compare(namespace1, namespace2))
	})
	return iam.Objects[T]{Items: items}
}

func (s *state) source() Source {
	role := func(r *iam.Role) (string, string) { return r.Name, r.Namespace }
	binding := func(b *iam.Binding) (string, string) { return b.Name, b.Namespace }
	return Source{Served: s.served, UIDs: maps.Clone(s.uids), Rights: iam.Rights{
		GlobalRoles: sorted(s.globalRoles, role), WorkspaceRoles: sorted(s.roles, role), ClusterRoles: sorted(s.clusterRoles, role),
		GlobalRoleBindings: sorted(s.globalBindings, binding), WorkspaceRoleBindings: sorted(s.bindings, binding),
		ClusterRoleBindings: sorted(s.clusterBindings, binding), RoleBindings: sorted(s.inProjects, binding),
		Namespaces: sorted(s.namespaces, func(n *iam.Namespace) (string, string) { return n.Name, "" }),
	}}
}

// apply does what changes say, as kube-apiserver would have it.
func (s *state) apply(c *Changes) {
	for _, all := range []map[string][]rbacv1.PolicyRule{c.CreateRoles, c.UpdateRoles} {
		for name, rules := range all {
			s.clusterRoles[name] = &iam.Role{Name: name, Rules: rules}
		}
	}
	for name, b := range c.CreateClusterBindings {
		s.clusterBindings[name] = &iam.Binding{Name: name, RoleRef: b.RoleRef(), Subjects: b.Subjects()}
	}
	for _, name := range c.DeleteClusterBindings {
		delete(s.clusterBindings, name)
	}
	for key, b := range c.CreateBindings {
		s.inProjects[key.String()] = &iam.Binding{Name: key.Name, Namespace: key.Namespace, RoleRef: b.RoleRef(), Subjects: b.Subjects()}
	}
	for _, key := range c.DeleteBindings {
		delete(s.inProjects, key.String())
	}
	for _, name := range c.DeleteRoles {
		delete(s.clusterRoles, name)
	}
}

// text is the same for the same changes.
func text(c *Changes) string {
	slices.Sort(c.ReplaceClusterBindings)
	slices.Sort(c.DeleteClusterBindings)
	slices.Sort(c.DeleteRoles)
	byName := func(a, b types.NamespacedName) int { return cmp.Compare(a.String(), b.String()) }
	slices.SortFunc(c.ReplaceBindings, byName)
	slices.SortFunc(c.DeleteBindings, byName)
	return fmt.Sprintf("%v", *c)
}

// TestState: the changes that follow from what was known are those that follow from
// nothing, whatever happens to roles, bindings, projects, workspaces, types and mirrors.
func TestState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &state{
			globalRoles: map[string]*iam.Role{}, roles: map[string]*iam.Role{}, clusterRoles: map[string]*iam.Role{}, globalBindings: map[string]*iam.Binding{}, bindings: map[string]*iam.Binding{},
			clusterBindings: map[string]*iam.Binding{}, inProjects: map[string]*iam.Binding{}, namespaces: map[string]*iam.Namespace{}, uids: map[string]string{}, served: source().Served,
		}
		pick := func(label string, values ...string) string { return rapid.SampledFrom(values).Draw(t, label) }
		subjects := func() []rbacv1.Subject {
			return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}}[:rapid.IntRange(0, 1).Draw(t, "subjects")]
		}
		var known State
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			gone := rapid.IntRange(0, 3).Draw(t, "gone") == 0
			switch pick("what", "role", "binding", "namespace", "uid", "global role", "global binding", "mirror", "other binding", "cluster mirror", "types") {
			case "role":
				name := pick("role", "a-admin", "a-viewer", "b-admin", "shared")
				if s.roles[name] = (&iam.Role{Name: name, Workspace: pick("of", "a", "b", ""), Rules: rules(pick("verbs", "get", "*"), pick("resources", "pods", "*", "gone"))}); gone {
					delete(s.roles, name)
				}
			case "binding":
				name := pick("binding", "1", "2", "3", "4")
				if s.bindings[name] = (&iam.Binding{Name: name, Workspace: pick("in", "a", "b", ""), RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: pick("gives", "a-admin", "a-viewer", "b-admin", "shared", "none")}, Subjects: subjects()}); gone {
					delete(s.bindings, name)
				}
			case "namespace":
				name := pick("namespace", "a-1", "a-2", "b-1", "kube-system")
				if s.namespaces[name] = (&iam.Namespace{Name: name, Workspace: pick("workspace", "a", "b", ""), Terminating: pick("deleted", "no", "no", "yes") == "yes"}); gone {
					delete(s.namespaces, name)
				}
			case "uid":
				if s.uids["a"] = pick("uid", "1", "2"); gone {
					delete(s.uids, "a")
				}
			case "global role":
				if s.globalRoles["g"] = (&iam.Role{Name: "g", Rules: rules("get", pick("resources", "pods", "gone"))}); gone {
					delete(s.globalRoles, "g")
				}
			case "global binding":
				if s.globalBindings["g"] = (&iam.Binding{Name: "g", RoleRef: rbacv1.RoleRef{Kind: kindGlobalRole, Name: "g"}, Subjects: subjects()}); gone {
					delete(s.globalBindings, "g")
				}
			case "mirror": // somebody changes or deletes one
				for _, key := range slices.Sorted(maps.Keys(s.inProjects)) {
					changed := *s.inProjects[key]
					if changed.RoleRef.Name = "view"; gone {
						delete(s.inProjects, key)
						break
					}
					s.inProjects[key] = &changed
					break
				}
			case "other binding":
				one := &iam.Binding{Name: "kubesphere:x", Namespace: "a-1", Subjects: subjects()}
				if s.inProjects["x"] = one; gone {
					delete(s.inProjects, "x")
				}
			case "cluster mirror":
				for _, name := range slices.Sorted(maps.Keys(s.clusterRoles)) {
					delete(s.clusterRoles, name)
					break
				}
			case "types":
				if s.served = source().Served; gone {
					s.served = s.served[:1]
				}
			}
			now := s.source()
			got, want := known.Changes(now), Difference(Of(now), now.Rights)
			if text(&got) != text(&want) {
				t.Fatalf("got  %s\nwant %s", text(&got), text(&want))
			}
			if rapid.Bool().Draw(t, "applied") {
				s.apply(&got)
			}
		}
	})
}

// TestMovedNamespace: a role that counts in two workspaces has one binding in a namespace
// that moves from one to the other, which was lost in one of ten cases.
func TestMovedNamespace(t *testing.T) {
	jane := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}}
	ref := rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: "shared"}
	in := func(workspace string) Source {
		return Source{Served: source().Served, UIDs: map[string]string{"a": "1", "b": "2"}, Rights: iam.Rights{
			WorkspaceRoles:        all(&iam.Role{Name: "shared", Rules: rules("get", "pods")}),
			WorkspaceRoleBindings: all(&iam.Binding{Name: "1", Workspace: "a", RoleRef: ref, Subjects: jane}, &iam.Binding{Name: "2", Workspace: "b", RoleRef: ref, Subjects: jane}),
			Namespaces:            all(&iam.Namespace{Name: "n", Workspace: workspace}),
		}}
	}
	for range 100 {
		var known State
		first := known.Changes(in("a"))
		moved := in("b")
		for key, b := range first.CreateBindings {
			moved.Rights.RoleBindings.Items = append(moved.Rights.RoleBindings.Items, &iam.Binding{Name: key.Name, Namespace: key.Namespace, RoleRef: b.RoleRef(), Subjects: b.Subjects()})
		}
		if c := known.Changes(moved); len(c.CreateBindings) != 1 || len(c.ReplaceBindings) != 1 || len(c.DeleteBindings) != 0 {
			t.Fatalf("got %+v", c)
		}
	}
}

// TestFairChanges: the bindings of a workspace with many projects do not keep those of
// others from being made.
func TestFairChanges(t *testing.T) {
	s := source()
	for n := range 100 {
		s.Rights.Namespaces.Items = append(s.Rights.Namespaces.Items, &iam.Namespace{Name: fmt.Sprintf("z-%03d", n), Workspace: "a"})
	}
	known, rounds, made := State{Fair: 10}, 0, map[types.NamespacedName]bool{}
	for next := s; ; rounds++ {
		c := known.Changes(next)
		for key := range c.CreateBindings {
			made[key] = true
		}
		if rounds == 0 && (!c.Partial || len(c.CreateBindings) != 11) { // of workspace b there is one
			t.Errorf("at first %d bindings, %v", len(c.CreateBindings), c.Partial)
		}
		if !c.Partial {
			break
		}
		after := state{clusterRoles: map[string]*iam.Role{}, clusterBindings: map[string]*iam.Binding{}, inProjects: map[string]*iam.Binding{}}
		for _, b := range next.Rights.RoleBindings.Items {
			after.inProjects[b.Namespace+"/"+b.Name] = b
		}
		after.apply(&c)
		next.Rights.RoleBindings = sorted(after.inProjects, func(b *iam.Binding) (string, string) { return b.Name, b.Namespace })
	}
	if len(made) != 103 || rounds < 9 {
		t.Errorf("%d bindings after %d rounds", len(made), rounds)
	}
	// A role that changes: its bindings were taken away before the new ones were there.
	there := present(Of(s))
	s.Rights.RoleBindings, s.Rights.ClusterRoles = there.RoleBindings, there.ClusterRoles
	known = State{Fair: 10}
	known.Changes(s)
	changed := *s.Rights.WorkspaceRoles.Items[0]
	changed.Rules = rules("get", "pods")
	s.Rights.WorkspaceRoles = all(append([]*iam.Role{&changed}, s.Rights.WorkspaceRoles.Items[1:]...)...)
	if c := known.Changes(s); !c.Partial || len(c.CreateBindings) != 10 || len(c.DeleteBindings)+len(c.DeleteRoles) != 0 {
		t.Errorf("%d bindings are made, %d and %d roles deleted", len(c.CreateBindings), len(c.DeleteBindings), len(c.DeleteRoles))
	}
}

// TestLeftBindings: a workspace with many bindings that Kubernetes refuses, such as in
// namespaces that are being deleted, kept the ClusterRoles of everybody from being deleted,
// and one user made as many as he liked.
func TestLeftBindings(t *testing.T) {
	for _, test := range []struct {
		name        string
		terminating bool
		refused     bool
		left        int // bindings of workspace a
		partial     bool
	}{
		{"not yet made", false, false, 20 - 10, true},
		{"refused", false, true, 20, false},
		{"in namespaces that are deleted", true, false, 20, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := source()
			s.Rights.Namespaces = iam.Objects[iam.Namespace]{Items: []*iam.Namespace{{Name: "b-1", Workspace: "b"}}}
			for n := range 20 {
				s.Rights.Namespaces.Items = append(s.Rights.Namespaces.Items, &iam.Namespace{Name: fmt.Sprintf("z-%03d", n), Workspace: "a", Terminating: test.terminating})
			}
			// One role is of nobody any more, of another there is a binding that is left.
			s.Rights.ClusterRoles = all(&iam.Role{Name: "kubesphere:rules:given"}, &iam.Role{Name: "kubesphere:rules:old"})
			given := bindingKey("z-000", "a-admin", "kubesphere:rules:given")
			s.Rights.RoleBindings = all(&iam.Binding{Name: given.Name, Namespace: given.Namespace, RoleRef: Binding{Role: "kubesphere:rules:given"}.RoleRef()})
			known := State{Fair: 10, Refused: func(key types.NamespacedName) bool { return test.refused && key.Namespace[0] == 'z' }, Retry: func(types.NamespacedName) bool { return false }}
			c := known.Changes(s)
			if made := len(c.CreateBindings); made != 20+1-test.left || c.Partial != test.partial || c.Refused != test.refused {
				t.Errorf("%d bindings are made, partial %t, refused %t", made, c.Partial, c.Refused)
			}
			want := []string{"kubesphere:rules:old"}
			if test.terminating { // what gives it goes with the namespace
				want = []string{"kubesphere:rules:given", "kubesphere:rules:old"}
			}
			if slices.Sort(c.DeleteRoles); !slices.Equal(c.DeleteRoles, want) {
				t.Errorf("deletes %q", c.DeleteRoles)
			}
		})
	}
}

// TestRotatingRoles: roles that changed faster than their bindings were made left a
// ClusterRole each time. A workspace whose last changes are under way is mirrored as it is
// afterwards, and nothing of it is lost.
func TestRotatingRoles(t *testing.T) {
	s := &state{clusterRoles: map[string]*iam.Role{}, clusterBindings: map[string]*iam.Binding{}, inProjects: map[string]*iam.Binding{}}
	s.roles = map[string]*iam.Role{}
	s.bindings = map[string]*iam.Binding{"a": {Name: "a", Workspace: "a", RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: "a-r"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}}}}
	s.namespaces, s.uids = map[string]*iam.Namespace{}, map[string]string{"a": "1"}
	for n := range 30 {
		name := fmt.Sprintf("a-%02d", n)
		s.namespaces[name] = &iam.Namespace{Name: name, Workspace: "a"}
	}
	s.served = source().Served
	known, most := State{Fair: 10}, 0
	for n := range 100 {
		s.roles["a-r"] = &iam.Role{Name: "a-r", Workspace: "a", Rules: rules(fmt.Sprintf("verb%d", n), "pods")}
		c := known.Changes(s.source())
		s.apply(&c)
		most = max(most, len(s.clusterRoles))
	}
	if most > 3 {
		t.Errorf("%d ClusterRoles for one role", most)
	}
	for rounds := 0; ; rounds++ {
		c := known.Changes(s.source())
		if c.Empty() && !c.Partial {
			break
		}
		if s.apply(&c); rounds > 20 {
			t.Fatalf("it does not end: %+v", c)
		}
	}
	now := s.source()
	if left := Difference(Of(now), now.Rights); !left.Empty() {
		t.Errorf("left are %+v", left)
	}
}
