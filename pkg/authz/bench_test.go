package authz

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// crowd has 5,000 users, 2,000 workspaces with four roles each, 4,000
// namespaces with three, and 20,000 bindings: each user has one global role,
// one workspace role, and two roles in namespaces.
func crowd() *directory {
	var rules []rbacv1.PolicyRule
	for k := range 10 {
		rules = append(rules, rbacv1.PolicyRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"apps", ""}, Resources: []string{fmt.Sprint("type", k), "deployments/scale"}})
	}
	d := &directory{}
	r := &d.rights
	r.GlobalRoles.Items = []*iam.Role{{Name: "authenticated", Rules: rules[:1]}, {Name: "platform-regular", Rules: rules[:2]}}
	for n := range 2000 {
		for k := range 4 {
			workspace := fmt.Sprintf("workspace-%04d", n)
			r.WorkspaceRoles.Items = append(r.WorkspaceRoles.Items, &iam.Role{Name: fmt.Sprint(workspace, "-", k), Workspace: workspace, Rules: rules})
		}
	}
	for n := range 4000 {
		namespace := fmt.Sprintf("namespace-%04d", n)
		r.Namespaces.Items = append(r.Namespaces.Items, &iam.Namespace{Name: namespace, Workspace: fmt.Sprintf("workspace-%04d", n/2)})
		for k := range 3 {
			r.Roles.Items = append(r.Roles.Items, &iam.Role{Name: fmt.Sprint("role-", k), Namespace: namespace, Rules: rules})
		}
	}
	for n := range 5000 {
		name := fmt.Sprintf("user-%04d", n)
		subjects := []rbacv1.Subject{{Kind: "User", Name: name}}
		r.GlobalRoleBindings.Items = append(r.GlobalRoleBindings.Items, &iam.Binding{Name: name, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "GlobalRole", Name: "platform-regular"}})
		workspace := fmt.Sprintf("workspace-%04d", n%2000)
		r.WorkspaceRoleBindings.Items = append(r.WorkspaceRoleBindings.Items, &iam.Binding{
			Name: name, Workspace: workspace, Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "WorkspaceRole", Name: workspace + "-1"},
		})
		for k := range 2 {
			r.RoleBindings.Items = append(r.RoleBindings.Items, &iam.Binding{
				Name: name, Namespace: fmt.Sprintf("namespace-%04d", (n*2+k)%4000), Subjects: subjects, RoleRef: rbacv1.RoleRef{Kind: "Role", Name: "role-1"},
			})
		}
	}
	r.GlobalRoleBindings.Items = append(r.GlobalRoleBindings.Items, &iam.Binding{
		Name: "zz", RoleRef: rbacv1.RoleRef{Kind: "GlobalRole", Name: "authenticated"}, Subjects: []rbacv1.Subject{{Kind: "Group", Name: user.AllAuthenticated}},
	})
	sorted := func(items []*iam.Binding) {
		slices.SortFunc(items, func(a, b *iam.Binding) int { return strings.Compare(bindingName(a), bindingName(b)) })
	}
	sorted(r.RoleBindings.Items)
	slices.SortFunc(r.Roles.Items, func(a, b *iam.Role) int { return strings.Compare(roleName(a), roleName(b)) })
	for _, revision := range []*uint64{
		&r.GlobalRoles.Revision, &r.WorkspaceRoles.Revision, &r.Roles.Revision, &r.Namespaces.Revision,
		&r.GlobalRoleBindings.Revision, &r.WorkspaceRoleBindings.Revision, &r.RoleBindings.Revision,
	} {
		*revision = 1
	}
	return d
}

// BenchmarkAuthorize decides for one of 5,000 users with 20,000 bindings, for
// who is in ten groups. The budget is 5 µs; a request that is denied is the longest.
func BenchmarkAuthorize(b *testing.B) {
	rbac := &RBAC{Source: crowd()}
	groups := []string{user.AllAuthenticated}
	for n := range 10 {
		groups = append(groups, fmt.Sprint("group-", n))
	}
	for _, test := range []struct {
		name, verb string
		want       authorizer.Decision
	}{{"allowed", "list", authorizer.DecisionAllow}, {"denied", "delete", authorizer.DecisionNoOpinion}} {
		b.Run(test.name, func(b *testing.B) {
			request := &Attributes{Scope: Scope{Namespace: "namespace-0398"}, AttributesRecord: authorizer.AttributesRecord{
				User: &user.DefaultInfo{Name: "user-4199", Groups: groups}, Verb: test.verb,
				APIGroup: "apps", Resource: "type9", Namespace: "namespace-0398", ResourceRequest: true,
			}}
			if _, err := rbac.current(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if decision, _, err := rbac.Authorize(b.Context(), request); err != nil || decision != test.want {
					b.Fatal(decision, err)
				}
			}
		})
	}
}

// BenchmarkCompile is what the first decision after the start costs.
func BenchmarkCompile(b *testing.B) {
	d := crowd()
	b.ReportAllocs()
	for b.Loop() {
		compile(nil, d.rights, time.Time{})
	}
}

// BenchmarkChange is what the first decision after a change of one of 20,000
// bindings costs, or of one of 20,000 roles.
func BenchmarkChange(b *testing.B) {
	d := crowd()
	start := compile(nil, d.rights, time.Time{})
	b.Run("binding", func(b *testing.B) {
		next := d.rights
		set(&next.RoleBindings, bindingName, func(items []*iam.Binding) []*iam.Binding {
			changed := *items[7000]
			changed.RoleRef.Name = "role-2"
			items[7000] = &changed
			return items
		})
		for b.Loop() {
			compile(start, next, time.Time{})
		}
	})
	b.Run("role", func(b *testing.B) {
		next := d.rights
		set(&next.Roles, roleName, func(items []*iam.Role) []*iam.Role {
			changed := *items[7000]
			changed.Rules = nil
			items[7000] = &changed
			return items
		})
		for b.Loop() {
			compile(start, next, time.Time{})
		}
	})
}

// burden adds workspaces of one tenant with roles of 9,200 made-up names each, which permit
// nothing that there is, and gives all of them to a user.
func burden(d *directory, workspaces, roles int, victim string) {
	r := &d.rights
	for n := range workspaces {
		workspace := fmt.Sprintf("zz-%02d", n)
		for k := range roles {
			names := make([]string, 9200)
			for i := range names {
				names[i] = fmt.Sprintf("%04x", i+k)
			}
			name := fmt.Sprintf("%s-%02d", workspace, k)
			r.WorkspaceRoles.Items = append(r.WorkspaceRoles.Items, &iam.Role{
				Name: name, Workspace: workspace, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: names}},
			})
			r.WorkspaceRoleBindings.Items = append(r.WorkspaceRoleBindings.Items, &iam.Binding{
				Name: name, Workspace: workspace, Subjects: UserSubjects(victim), RoleRef: rbacv1.RoleRef{Kind: kindWorkspaceRole, Name: name},
			})
		}
		r.Namespaces.Items = append(r.Namespaces.Items, &iam.Namespace{Name: workspace + "-p", Workspace: workspace})
	}
}

// BenchmarkVisible is what a list of all namespaces costs before it begins: of one of 5,000
// users, and of who was given 1,240 roles of 9,200 names by a tenant, whether or not
// asked.
func BenchmarkVisible(b *testing.B) {
	for _, test := range []struct{ name, user string }{{"ordinary", "user-4199"}, {"attacked", "victim"}} {
		b.Run(test.name, func(b *testing.B) {
			d := crowd()
			burden(d, 20, 62, "victim")
			rbac := &RBAC{Source: d}
			who := &user.DefaultInfo{Name: test.user, Groups: []string{user.AllAuthenticated}}
			if _, err := rbac.current(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if seen, err := rbac.VisibleNamespaces(b.Context(), who, Action{Verb: "list", Resource: "pods"}); err != nil || seen.All {
					b.Fatal(seen, err)
				}
			}
		})
	}
}

// BenchmarkAuthorizeAttacked is what a request in a namespace of a tenant costs whose
// workspace has 62 roles of 9,200 names, and nobody else.
func BenchmarkAuthorizeAttacked(b *testing.B) {
	d := crowd()
	burden(d, 20, 62, "victim")
	rbac := &RBAC{Source: d}
	request := &Attributes{Scope: Scope{Namespace: "zz-03-p"}, AttributesRecord: authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: "victim"}, Verb: "list", Resource: "pods", Namespace: "zz-03-p", ResourceRequest: true,
	}}
	if _, err := rbac.current(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		request.Name = fmt.Sprint("pod-", n) // each request is another one
		if decision, _, err := rbac.Authorize(b.Context(), request); err != nil || decision != authorizer.DecisionNoOpinion {
			b.Fatal(decision, err)
		}
	}
}

// BenchmarkVisibleAfterChange is what the first list after a change of one of their own roles
// by the tenant costs the attacked user, without the next state of rights.
func BenchmarkVisibleAfterChange(b *testing.B) {
	d := crowd()
	burden(d, 20, 62, "victim")
	rbac := &RBAC{Source: d}
	who := &user.DefaultInfo{Name: "victim"}
	states := [2][]*iam.Role{d.rights.WorkspaceRoles.Items, slices.Clone(d.rights.WorkspaceRoles.Items)}
	at := len(states[1]) - 1
	changed := *states[1][at]
	states[1][at] = &changed
	if _, err := rbac.VisibleNamespaces(b.Context(), who, Action{Verb: "list", Resource: "pods"}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		d.rights.WorkspaceRoles = iam.Objects[iam.Role]{Revision: uint64(n + 2), Items: states[n%2]}
		if _, err := rbac.current(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if seen, err := rbac.VisibleNamespaces(b.Context(), who, Action{Verb: "list", Resource: "pods"}); err != nil || seen.All {
			b.Fatal(seen, err)
		}
	}
}
