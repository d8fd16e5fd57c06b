package authz

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// longRules are random rules among a thousand words and hundreds of rules that never match.
func longRules() *rapid.Generator[[]rbacv1.PolicyRule] {
	some := func(values ...string) *rapid.Generator[[]string] {
		return rapid.Custom(func(t *rapid.T) []string {
			list := rapid.SliceOfN(rapid.SampledFrom(values), 0, 3).Draw(t, "some")
			if fill := rapid.SampledFrom([]int{0, 0, 1, 300}).Draw(t, "fill"); fill > 0 {
				for n := range fill {
					list = append(list, fmt.Sprintf("x%03d", n))
				}
			}
			return rapid.Permutation(list).Draw(t, "list")
		})
	}
	verbs, groups := some("*", "get", "list", "impersonate"), some("*", "", "apps")
	resources, names := some("*", "pods", "pods/proxy", "*/proxy", "namespaces", "bindings", "pods/exec"), rapid.OneOf(rapid.Just([]string(nil)), some("a", "b", ""))
	return rapid.Custom(func(t *rapid.T) []rbacv1.PolicyRule {
		var rules []rbacv1.PolicyRule
		for range rapid.IntRange(0, 3).Draw(t, "rules") {
			rules = append(rules, rbacv1.PolicyRule{
				Verbs: verbs.Draw(t, "verbs"), APIGroups: groups.Draw(t, "groups"), Resources: resources.Draw(t, "resources"), ResourceNames: names.Draw(t, "names"),
			})
		}
		for range rapid.SampledFrom([]int{0, 0, 70, 1100}).Draw(t, "further rules") {
			rules = append(rules, rbacv1.PolicyRule{Verbs: []string{"get"}, APIGroups: []string{"*"}, Resources: []string{"none"}})
		}
		if len(rules) > 1 && rapid.Bool().Draw(t, "reversed") {
			slices.Reverse(rules)
		}
		return rules
	})
}

var requests = rapid.Custom(func(t *rapid.T) *authorizer.AttributesRecord {
	return &authorizer.AttributesRecord{
		Verb: rapid.SampledFrom([]string{"get", "list", "impersonate", ""}).Draw(t, "verb"), APIGroup: rapid.SampledFrom([]string{"", "apps"}).Draw(t, "group"),
		Resource: rapid.SampledFrom([]string{"pods", "namespaces", "bindings", "x007"}).Draw(t, "resource"), Subresource: rapid.SampledFrom([]string{"", "", "proxy", "exec"}).Draw(t, "subresource"),
		Name: rapid.SampledFrom([]string{"", "a", "c"}).Draw(t, "name"), ResourceRequest: true,
	}
})

// TestIndexEqualsComparison: an index permits what comparing each rule permits.
func TestIndexEqualsComparison(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := longRules().Draw(t, "rules")
		index := newRuleIndex(rules)
		if index == nil {
			return
		}
		for range 10 {
			request, onPlatform := requests.Draw(t, "request"), rapid.Bool().Draw(t, "on the platform")
			if got, want := index.permits(&ruleQuery{request: request}, onPlatform), permits(rules, request, onPlatform); got != want {
				t.Fatalf("%+v: the index says %v, the rules %v", request, got, want)
			}
		}
	})
}

// TestRememberedEqualsAnew: after any changes of roles, bindings and namespaces what is
// remembered is what is worked out of the present state alone.
func TestRememberedEqualsAnew(t *testing.T) {
	workspaces, namespaces := []string{"w", "v"}, []string{"n0", "n1", "n2"}
	people := []*user.DefaultInfo{{Name: "jane"}, {Name: "john", Groups: []string{"team"}}, {Name: "system:serviceaccount:n0:robot", Groups: []string{"team"}}}
	subjects := []rbacv1.Subject{{Kind: "User", Name: "jane"}, {Kind: "Group", Name: "team"}, {Kind: "ServiceAccount", Namespace: "n0", Name: "robot"}}
	replace := func(t *rapid.T, d *directory) {
		name, rules := fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "name")), rapid.Custom(func(t *rapid.T) []rbacv1.PolicyRule {
			return rapid.SampledFrom([][]rbacv1.PolicyRule{nil, rules("list", "*", "pods"), rules("*", "*", "*"), rules("get", "", "namespaces")}).Draw(t, "rules")
		}).Draw(t, "rules")
		if rapid.IntRange(0, 3).Draw(t, "long") == 0 {
			rules = longRules().Draw(t, "rules")
		}
		gone := rapid.IntRange(0, 3).Draw(t, "gone") == 0
		namespace, workspace := rapid.SampledFrom(namespaces).Draw(t, "namespace"), rapid.SampledFrom(workspaces).Draw(t, "workspace")
		swapRole := func(of *iam.Objects[iam.Role], role *iam.Role) {
			set(of, roleName, func(items []*iam.Role) []*iam.Role {
				items = slices.DeleteFunc(items, func(one *iam.Role) bool { return roleName(one) == roleName(role) })
				if gone {
					return items
				}
				return append(items, role)
			})
		}
		bind := func(of *iam.Objects[iam.Binding], kind string, at iam.Binding) {
			add := rapid.IntRange(1, 14).Draw(t, "bindings") // more than are looked at anew
			set(of, bindingName, func(items []*iam.Binding) []*iam.Binding {
				for n := range add {
					one := at
					one.Name = fmt.Sprint("b", n, at.Workspace)
					one.RoleRef = rbacv1.RoleRef{Kind: kind, Name: fmt.Sprint("r", rapid.IntRange(0, 3).Draw(t, "role"))}
					one.Subjects = []rbacv1.Subject{rapid.SampledFrom(subjects).Draw(t, "subject")}
					items = slices.DeleteFunc(items, func(other *iam.Binding) bool { return bindingName(other) == bindingName(&one) })
					if !gone {
						items = append(items, &one)
					}
				}
				return items
			})
		}
		switch r := &d.rights; rapid.IntRange(0, 6).Draw(t, "change") {
		case 0:
			of := rapid.SampledFrom([]string{"", workspace}).Draw(t, "role of workspace")
			swapRole(&r.WorkspaceRoles, &iam.Role{Name: name, Workspace: of, Rules: rules})
		case 1:
			swapRole(&r.Roles, &iam.Role{Name: name, Namespace: namespace, Rules: rules})
		case 2:
			swapRole(&r.ClusterRoles, &iam.Role{Name: name, Rules: rules})
		case 3:
			bind(&r.WorkspaceRoleBindings, kindWorkspaceRole, iam.Binding{Workspace: workspace})
		case 4, 5:
			bind(&r.RoleBindings, rapid.SampledFrom([]string{kindRole, kindClusterRole}).Draw(t, "kind"), iam.Binding{Namespace: namespace})
		case 6:
			set(&r.Namespaces, nameOf, func(items []*iam.Namespace) []*iam.Namespace {
				items = slices.DeleteFunc(items, func(one *iam.Namespace) bool { return one.Name == namespace })
				if gone {
					return items
				}
				return append(items, &iam.Namespace{Name: namespace, Workspace: workspace})
			})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{}
		rbac := &RBAC{Source: d}
		for range rapid.IntRange(1, 12).Draw(t, "changes") {
			replace(t, d)
			anew := compile(nil, d.rights, time.Time{})
			for range 4 {
				who, request := rapid.SampledFrom(people).Draw(t, "user"), requests.Draw(t, "request")
				request.User = who
				scope := Scope{Namespace: rapid.SampledFrom(namespaces).Draw(t, "namespace")}
				if rapid.Bool().Draw(t, "in a workspace") {
					scope = Scope{Workspace: rapid.SampledFrom(workspaces).Draw(t, "workspace")}
				}
				decision, _, err := rbac.Authorize(context.Background(), &Attributes{AttributesRecord: *request, Scope: scope})
				if want := anew.allowsDirectly(scope, request); err != nil || (decision == authorizer.DecisionAllow) != want {
					t.Fatalf("%s %+v in %+v: %v, %v, worked out anew %v", who.Name, request, scope, decision, err, want)
				}
				first := Action{Verb: request.Verb, Group: request.APIGroup, Resource: request.Resource, Subresource: request.Subresource, Name: request.Name}
				second := first
				second.Group = "apps"
				for _, actions := range [][]Action{{first}, {first, second}} {
					got, err := rbac.VisibleNamespaces(context.Background(), who, actions...)
					if want := anew.visibleDirectly(who, actions); err != nil || got.All || !got.Names.Equal(want) {
						t.Fatalf("%s sees %v for %+v: %v, worked out anew %v", who.Name, got.Names, actions, err, want)
					}
					if only := sets.New(got.Only().Names()...); !only.Equal(got.Names) {
						t.Fatalf("lists are restricted to %v, want %v", only, got.Names)
					}
				}
			}
		}
	})
}

// allowsDirectly is allows without an index and without anything remembered.
func (c *compiled) allowsDirectly(scope Scope, request *authorizer.AttributesRecord) bool {
	for g := range c.given(request.User, scope) {
		if permits(c.rules(g), request, g.role.kind == kindGlobalRole) {
			return true
		}
	}
	return false
}

// visibleDirectly are the visible namespaces without anything remembered.
func (c *compiled) visibleDirectly(who user.Info, actions []Action) sets.Set[string] {
	names := sets.New[string]()
	for _, action := range actions {
		for one := range c.accesses(who) {
			permitted := func(grants []grant) bool {
				return slices.ContainsFunc(grants, func(g grant) bool { return permits(c.rules(g), action.by(who), false) })
			}
			for workspace, grants := range one.workspaces.all() {
				if permitted(grants) {
					names.Insert(c.namespaces[workspace]...)
				}
			}
			for namespace, grants := range one.namespaces.all() {
				if permitted(grants) || action.Resource == "namespaces" && action.Subresource == "" && c.exists(grants) {
					names.Insert(namespace)
				}
			}
		}
	}
	return names
}

// comparisons counts the words of a request that are read while rules are compared with it.
type comparisons struct {
	authorizer.Attributes
	verbs int
}

func (c *comparisons) GetVerb() string {
	c.verbs++
	return c.Attributes.GetVerb()
}

// TestRolesOfOthers: 20 workspaces with 62 roles of 9,200 made-up names each, which a tenant
// gave to a user who was not asked, made each list of that user compare eleven million
// words. A state of rights compares none of them twice, and the first time takes a
// search for each role.
func TestRolesOfOthers(t *testing.T) {
	d := crowd()
	const each = 5
	burden(d, 20, each, "victim")
	rbac := &RBAC{Source: d}
	victim := &user.DefaultInfo{Name: "victim"}
	action := Action{Verb: "list", Resource: "pods"}
	if seen, err := rbac.VisibleNamespaces(t.Context(), victim, action); err != nil || seen.All || seen.Names.Len() != 0 {
		t.Fatalf("got %+v, %v", seen, err)
	}
	state := rbac.compiled.Load()
	one := state.users.get("victim")
	indexed := 0
	for workspace, grants := range one.workspaces.all() {
		for _, g := range grants {
			role, _ := state.role(g)
			if role.index == nil {
				t.Fatalf("the %d words of %s in %s are compared one by one", words(role.Rules), role.Name, workspace)
			}
			indexed++
			longest := 0
			for n := range role.index.lists {
				table := &role.index.lists[n]
				for _, next := range table.heads {
					length := 0
					for ; next > 0; next = table.entries[next-1].next {
						length++
					}
					longest = max(longest, length)
				}
			}
			if longest > 20 {
				t.Errorf("%d words of %s are compared with one of a request", longest, role.Name)
			}
		}
	}
	if indexed != 20*each {
		t.Errorf("%d roles have an index, want %d", indexed, 20*each)
	}
	if per := testing.AllocsPerRun(20, func() {
		if _, err := rbac.VisibleNamespaces(t.Context(), victim, action); err != nil {
			t.Error(err)
		}
	}); per > 20 {
		t.Errorf("a list after the first allocates %.0f times: its namespaces are worked out again", per)
	}
}

// TestRemembering: decisions about many grants are made once for each state of the roles
// and bindings in the place, whatever changes elsewhere.
func TestRemembering(t *testing.T) {
	d := &directory{}
	role := func(workspace, name string) *iam.Role {
		return &iam.Role{Name: workspace + name, Workspace: workspace, Rules: rules("list", "", "none")}
	}
	for _, workspace := range []string{"w", "v"} {
		for n := range fewGrants + 2 {
			name := fmt.Sprint("-", n)
			set(&d.rights.WorkspaceRoles, roleName, adding(role(workspace, name)))
			set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{
				Name: workspace + name, Workspace: workspace, RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: workspace + name}, Subjects: UserSubjects("jane"),
			}))
		}
	}
	rbac := &RBAC{Source: d}
	decided := func() int {
		state, err := rbac.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		request := &comparisons{Attributes: authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "jane"}, Verb: "list", Resource: "pods", ResourceRequest: true}}
		state.allows(Scope{Workspace: "w"}, request)
		return request.verbs
	}
	first, again := decided(), decided()
	if again != 1 || first <= again {
		t.Fatalf("the verb was read %d times at first and %d times again, want once to look up what is remembered", first, again)
	}
	for _, test := range []struct {
		name   string
		change func()
		anew   bool
	}{
		{"a role of another workspace", func() {
			set(&d.rights.WorkspaceRoles, roleName, func(items []*iam.Role) []*iam.Role { return append(items, role("v", "-new")) })
		}, false},
		{"a binding of another user", func() {
			set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{
				Name: "w-john", Workspace: "w", RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: "w-1"}, Subjects: UserSubjects("john"),
			}))
		}, false},
		{"a role of a namespace", func() { set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "r", Namespace: "n"})) }, false},
		{"a namespace", func() { set(&d.rights.Namespaces, nameOf, adding(&iam.Namespace{Name: "n", Workspace: "w"})) }, false},
		{"a role of the workspace", func() { set(&d.rights.WorkspaceRoles, roleName, adding(role("w", "-new"))) }, true},
		{"a binding of the user", func() {
			set(&d.rights.WorkspaceRoleBindings, bindingName, adding(&iam.Binding{
				Name: "w-more", Workspace: "w", RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: "w-1"}, Subjects: UserSubjects("jane"),
			}))
		}, true},
		{"a role of the cluster", func() { set(&d.rights.ClusterRoles, roleName, adding(&iam.Role{Name: "r"})) }, true},
	} {
		test.change()
		if got := decided() > 1; got != test.anew {
			t.Errorf("%s: decided again %v, want %v", test.name, got, test.anew)
		}
	}
	for n := range maxDecisions + 10 {
		state := rbac.compiled.Load()
		state.allows(Scope{Workspace: "w"}, authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "jane"}, Verb: "get", Resource: "pods", Name: fmt.Sprint(n), ResourceRequest: true})
	}
	if kept := len(rbac.compiled.Load().users.get("jane").decisions.all); kept > maxDecisions {
		t.Errorf("%d decisions are kept of one user, the maximum is %d", kept, maxDecisions)
	}
}

// TestRememberedNamesAreBounded: what is remembered of all users is bounded, and requests at
// the same time share it.
func TestRememberedNamesAreBounded(t *testing.T) {
	remembered := &rememberedNames{}
	large := sets.New[string]()
	for n := range maxRememberedNames / 10 {
		large.Insert(fmt.Sprint(n))
	}
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() {
			for k := range 10 {
				seen := remembered.get(fmt.Sprint(n, k), func() sets.Set[string] { return large })
				if seen.Names.Len() != large.Len() {
					t.Error("names of another user")
				}
			}
		})
	}
	running.Wait()
	kept := 0
	remembered.sets.Range(func(_, _ any) bool { kept++; return true })
	if kept > 13 { // requests at the same time may add theirs
		t.Errorf("%d sets of %d names are kept", kept, large.Len())
	}
}
