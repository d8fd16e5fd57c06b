package authz

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

func rules(verbs, groups, resources string) []rbacv1.PolicyRule {
	list := func(text string) []string { return strings.Split(text, ",") }
	return []rbacv1.PolicyRule{{Verbs: list(verbs), APIGroups: list(groups), Resources: list(resources)}}
}

// places has workspaces w and v, namespaces w1 and w2 of w, v1 of v and none of
// no workspace, and for each kind of role one user of its name.
func places() *directory {
	d := &directory{}
	r := &d.rights
	for name, workspace := range map[string]string{"none": "", "v1": "v", "w1": "w", "w2": "w"} {
		set(&r.Namespaces, nameOf, adding(&iam.Namespace{Name: name, Workspace: workspace}))
	}
	bind := func(of *iam.Objects[iam.Binding], kind, role, workspace, namespace string, subjects ...rbacv1.Subject) {
		set(of, bindingName, adding(&iam.Binding{
			Name: fmt.Sprint(role, len(of.Items)), Workspace: workspace, Namespace: namespace, RoleRef: rbacv1.RoleRef{Kind: kind, Name: role}, Subjects: subjects,
		}))
	}
	person := func(name string) rbacv1.Subject { return rbacv1.Subject{Kind: "User", Name: name} }
	every := rules("*", "*", "*")
	set(&r.GlobalRoles, roleName, adding(&iam.Role{Name: "global", Rules: every}))
	set(&r.ClusterRoles, roleName, adding(&iam.Role{Name: "cluster", Rules: every}))
	set(&r.WorkspaceRoles, roleName, adding(&iam.Role{Name: "w-admin", Workspace: "w", Rules: every}))
	set(&r.WorkspaceRoles, roleName, adding(&iam.Role{Name: "v-admin", Workspace: "v", Rules: every}))
	set(&r.WorkspaceRoles, roleName, adding(&iam.Role{Name: "template", Rules: rules("get", "*", "workspaces")}))
	set(&r.Roles, roleName, adding(&iam.Role{Name: "admin", Namespace: "w1", Rules: every}))
	set(&r.Roles, roleName, adding(&iam.Role{Name: "viewer", Namespace: "w1", Rules: rules("get,list,watch", "", "pods")}))
	bind(&r.GlobalRoleBindings, "GlobalRole", "global", "", "", person("global"))
	bind(&r.ClusterRoleBindings, "ClusterRole", "cluster", "", "", person("cluster"))
	bind(&r.WorkspaceRoleBindings, "WorkspaceRole", "w-admin", "w", "", person("w-admin"), rbacv1.Subject{Kind: "Group", Name: "team"})
	bind(&r.WorkspaceRoleBindings, "WorkspaceRole", "v-admin", "w", "", person("mixed"))  // a role of another workspace
	bind(&r.WorkspaceRoleBindings, "WorkspaceRole", "w-admin", "", "", person("nowhere")) // a binding in none
	bind(&r.WorkspaceRoleBindings, "WorkspaceRole", "template", "w", "", person("template"))
	bind(&r.RoleBindings, "Role", "admin", "", "w1", person("admin"))
	bind(&r.RoleBindings, "Role", "viewer", "", "w1", person("viewer"))
	bind(&r.RoleBindings, "Role", "admin", "", "w2", person("missing")) // that role is in w1 only
	bind(&r.RoleBindings, "ClusterRole", "cluster", "", "w2", person("local"), rbacv1.Subject{Kind: "ServiceAccount", Name: "robot"})
	return d
}

func TestScopes(t *testing.T) {
	rbac := &RBAC{Source: places()}
	all := map[string]Scope{
		"platform": {}, "cluster": {Cluster: ThisCluster}, "w": {Workspace: "w"}, "v": {Workspace: "v"}, "no workspace": {Workspace: "x"},
		"w1": {Namespace: "w1"}, "w2": {Namespace: "w2"}, "v1": {Namespace: "v1"}, "none": {Namespace: "none"}, "no namespace": {Namespace: "x"},
		// The namespace decides, not what else the path says.
		"v1 claimed by w": {Namespace: "v1", Workspace: "w"},
	}
	for who, want := range map[string]string{
		"global":  "cluster,no namespace,no workspace,none,platform,v,v1,v1 claimed by w,w,w1,w2",
		"cluster": "cluster,no namespace,no workspace,none,v,v1,v1 claimed by w,w,w1,w2",
		"w-admin": "w,w1,w2", // and not in namespaces of no workspace, as upstream had it
		"mixed":   "", "nowhere": "", "missing": "", "template": "",
		"admin": "w1", "local": "w2", "system:serviceaccount:w2:robot": "w2", "system:serviceaccount:w1:robot": "", "nobody": "",
	} {
		var got []string
		for name, scope := range all {
			a := &Attributes{Scope: scope}
			a.User, a.Verb, a.Resource, a.ResourceRequest = &user.DefaultInfo{Name: who}, "delete", "pods", true
			if allowed(t, rbac, a) {
				got = append(got, name)
			}
		}
		if slices.Sort(got); strings.Join(got, ",") != want {
			t.Errorf("%s may in %v, want %s", who, got, want)
		}
	}
	member := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "x", Groups: []string{"team"}}, Verb: "get", Resource: "pods", Namespace: "w2", ResourceRequest: true}
	if !allowed(t, rbac, member) {
		t.Error("a member of a group that is bound")
	}
}

func TestVisible(t *testing.T) {
	d := places()
	rbac := &RBAC{Source: d}
	namespaces := func(who, verb, resource string) string {
		visible, err := rbac.VisibleNamespaces(t.Context(), &user.DefaultInfo{Name: who}, Action{Verb: verb, Resource: resource})
		if err != nil {
			t.Fatal(err)
		}
		if visible.All {
			return "all"
		}
		return strings.Join(sets.List(visible.Names), ",")
	}
	for _, test := range []struct{ who, verb, resource, want string }{
		{"global", "list", "pods", "all"}, {"cluster", "list", "pods", "all"}, {"w-admin", "list", "pods", "w1,w2"}, {"mixed", "list", "pods", ""},
		{"nowhere", "list", "pods", ""}, {"viewer", "list", "pods", "w1"}, {"viewer", "delete", "pods", ""}, {"viewer", "list", "secrets", ""},
		{"viewer", "list", "namespaces", "w1"}, // who has a role in a namespace sees it
		{"missing", "list", "namespaces", ""}, {"local", "list", "secrets", "w2"}, {"nobody", "list", "pods", ""},
	} {
		if got := namespaces(test.who, test.verb, test.resource); got != test.want {
			t.Errorf("%s may %s %s in %q, want %q", test.who, test.verb, test.resource, got, test.want)
		}
	}
	for who, want := range map[string]Visible{
		"global": {All: true}, "cluster": {Names: sets.New[string]()}, "w-admin": {Names: sets.New("w")}, "mixed": {Names: sets.New[string]()}, "template": {Names: sets.New("w")},
	} {
		if got, err := rbac.VisibleWorkspaces(t.Context(), &user.DefaultInfo{Name: who}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s sees workspaces %v, %v", who, got, err)
		}
	}
	// A namespace that moves takes what is seen of it along.
	set(&d.rights.Namespaces, nameOf, func(all []*iam.Namespace) []*iam.Namespace {
		return []*iam.Namespace{{Name: "w1", Workspace: "v"}, all[3]}
	})
	if got := namespaces("w-admin", "list", "pods"); got != "w2" {
		t.Errorf("after a move: %q", got)
	}
	failing := &RBAC{Source: &directory{err: errors.New("away")}}
	if _, err := failing.VisibleNamespaces(t.Context(), nil, Action{}); err == nil {
		t.Error("nothing is known, and nothing is wrong")
	}
	if _, err := failing.VisibleWorkspaces(t.Context(), nil); err == nil {
		t.Error("nothing is known, and nothing is wrong")
	}
}

func TestEscalation(t *testing.T) {
	d := places()
	rbac := &RBAC{Source: d}
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "manager", Namespace: "w1", Rules: append(rules("*", "*", "roles,rolebindings"), rules("get", "", "pods")...)}))
	set(&d.rights.Roles, roleName, adding(&iam.Role{Name: "escalator", Namespace: "w1", Rules: rules("escalate,bind", rbacv1.GroupName, "roles")}))
	for _, name := range []string{"manager", "escalator"} {
		set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{
			Name: name, Namespace: "w1", RoleRef: rbacv1.RoleRef{Kind: "Role", Name: name}, Subjects: []rbacv1.Subject{{Kind: "User", Name: name}},
		}))
	}
	roles := schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}
	for _, test := range []struct {
		name, who string
		scope     Scope
		rules     []rbacv1.PolicyRule
		want      bool
	}{
		{"nothing", "nobody", Scope{}, nil, true},
		{"what one has", "manager", Scope{Namespace: "w1"}, rules("get", "", "pods"), true},
		{"a part of what one has", "w-admin", Scope{Namespace: "w2"}, rules("get,delete", "a,b", "c,d"), true},
		{"more verbs", "manager", Scope{Namespace: "w1"}, rules("get,list", "", "pods"), false},
		{"all verbs are no right to escalate", "manager", Scope{Namespace: "w1"}, rules("*", "*", "*"), false},
		{"the right to escalate", "escalator", Scope{Namespace: "w1"}, rules("*", "*", "*"), true},
		{"elsewhere", "escalator", Scope{Namespace: "w2"}, rules("get", "", "pods"), false},
		{"in the workspace", "admin", Scope{Workspace: "w"}, rules("get", "", "pods"), false},
		{"on the platform", "cluster", Scope{}, rules("get", "", "pods"), false},
		{"everything", "global", Scope{}, Everything(), true},
	} {
		err := rbac.MayWriteRole(t.Context(), &user.DefaultInfo{Name: test.who}, test.scope, roles, "new", test.rules)
		if (err == nil) != test.want || err != nil && !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, test := range []struct {
		name, who, kind, role string
		scope                 Scope
		want                  func(error) bool
	}{
		{"a role one has", "viewer", "Role", "viewer", Scope{Namespace: "w1"}, func(err error) bool { return err == nil }},
		{"a wider one", "viewer", "Role", "admin", Scope{Namespace: "w1"}, apierrors.IsForbidden},
		{"the right to bind", "escalator", "Role", "admin", Scope{Namespace: "w1"}, func(err error) bool { return err == nil }},
		{"but no cluster role", "escalator", "ClusterRole", "cluster", Scope{Namespace: "w1"}, apierrors.IsForbidden},
		{"a cluster role in the own namespace", "admin", "ClusterRole", "cluster", Scope{Namespace: "w1"}, func(err error) bool { return err == nil }},
		{"in the cluster", "admin", "ClusterRole", "cluster", Scope{Cluster: ThisCluster}, apierrors.IsForbidden},
		{"a role that is missing", "viewer", "Role", "none", Scope{Namespace: "w1"}, apierrors.IsNotFound},
		{"one that is to come", "admin", "Role", "none", Scope{Namespace: "w1"}, func(err error) bool { return err == nil }},
		{"a role of another workspace", "w-admin", "WorkspaceRole", "v-admin", Scope{Workspace: "w"}, apierrors.IsNotFound},
		{"a kind nobody knows", "global", "Secret", "x", Scope{}, apierrors.IsBadRequest},
	} {
		if err := rbac.MayBind(t.Context(), &user.DefaultInfo{Name: test.who}, test.scope, rbacv1.RoleRef{Kind: test.kind, Name: test.role}); !test.want(err) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	many := make([]string, 500)
	for n := range many {
		many[n] = fmt.Sprint("x", n)
	}
	if _, err := rbac.Covers(t.Context(), nil, Scope{}, []rbacv1.PolicyRule{{Verbs: many, APIGroups: many, Resources: many}}); !apierrors.IsBadRequest(err) {
		t.Errorf("rules that take for ever to compare: %v", err)
	}
}

// TestOwn: what everybody may do, and what not.
func TestOwn(t *testing.T) {
	own := Own{Filtered: func(_ context.Context, resource string) bool { return resource == "pods" }, Rights: &RBAC{Source: places()},
		Kubectl: func(user, namespace, pod string) bool { return namespace == "shells" && pod == "of-"+user }}
	for _, test := range []struct {
		verb, path, group, resource, sub, name, namespace string
		want                                              bool
	}{
		{"get", "/kapis/", groupIAM, "users", "", "jane", "", true},
		{"patch", "/kapis/", groupIAM, "users", "", "jane", "", true},
		{"delete", "/kapis/", groupIAM, "users", "", "jane", "", false},
		{"get", "/kapis/", groupIAM, "users", "", "joe", "", false},
		{"get", "/apis/", groupIAM, "users", "", "jane", "", false},
		{"patch", "/apis/", groupIAM, "users", "", "jane", "", false},
		{"update", "/kapis/", groupIAM, "users", "password", "jane", "", true},
		{"update", "/kapis/", groupIAM, "users", "password", "joe", "", false},
		{"update", "/kapis/", groupIAM, "users", "status", "jane", "", false},
		{"list", "/kapis/", groupIAM, "users", "", "", "", false},
		{"get", "/kapis/", groupIAM, "members", "roles", "jane", "n", true},
		{"delete", "/kapis/", groupIAM, "members", "", "jane", "n", false},
		{"create", "/kapis/", groupIAM, "accessreviews", "", "", "", true},
		{"list", "/kapis/", groupTenant, "workspaces", "", "", "", true},
		{"get", "/kapis/", groupTenant, "workspaces", "", "w", "", false},
		{"list", "/apis/", groupTenant, "workspaces", "", "", "", false},
		{"list", "/kapis/", groupResources, "pods", "", "", "", true},
		{"list", "/kapis/", groupResources, "pods", "", "", "n", false},
		{"watch", "/kapis/", groupResources, "pods", "", "", "", false},
		{"list", "/kapis/", groupResources, "nodes", "", "", "", false},
		{"get", "/kapis/", groupResources, "users", "kubeconfig", "jane", "", true},
		{"get", "/kapis/", groupResources, "users", "kubeconfig", "joe", "", false},
		{"get", "/kapis/", groupResources, "users", "kubectl", "jane", "", true},
		{"get", "/kapis/", groupResources, "users", "kubectl", "joe", "", false},
		{"create", "/kapis/", groupResources, "registry", "", "verify", "", true},
		{"get", "/kapis/", groupResources, "registry", "", "blob", "", true},
		{"create", "/kapis/", groupResources, "git", "", "verify", "", true},
		{"delete", "/kapis/", groupResources, "registry", "", "verify", "", false},
		{"create", "/kapis/", groupResources, "registry", "", "verify", "w1", false},
		{"get", "/kapis/", groupTerminal, "users", "kubectl", "jane", "", true},
		{"get", "/kapis/", groupTerminal, "users", "kubectl", "joe", "", false},
		{"create", "/kapis/", groupTerminal, "pods", "exec", "of-jane", "shells", true},
		{"create", "/kapis/", groupTerminal, "pods", "exec", "of-joe", "shells", false},
		{"create", "/kapis/", groupTerminal, "pods", "exec", "of-jane", "w1", false},
		{"create", "/api/", "", "pods", "exec", "of-jane", "shells", false},
		{"list", "/api/v1/namespaces", "", "namespaces", "", "", "", true},
		{"get", "/api/v1/namespaces/a", "", "namespaces", "", "a", "a", false},
		{"list", "/api/v1/pods", "", "pods", "", "", "", false},
	} {
		a := authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: "jane", Groups: []string{user.AllAuthenticated}}, Verb: test.verb, Path: test.path, APIGroup: test.group,
			Resource: test.resource, Subresource: test.sub, Name: test.name, Namespace: test.namespace, ResourceRequest: true,
		}
		if got := allowed(t, own, a); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
		a.User = &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
		if allowed(t, own, a) {
			t.Errorf("%+v is for everybody", test)
		}
	}
	inviter := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: "w-admin", Groups: []string{user.AllAuthenticated}}, Verb: "list", Path: "/kapis/", APIGroup: groupIAM, Resource: "users", ResourceRequest: true}
	if !allowed(t, own, inviter) {
		t.Error("who invites others does not find them")
	}
	// A personal access token opens terminals by the scope of terminals alone.
	for scope, want := range map[string]bool{groupTerminal + "/pods/exec:create": true, "core/pods/exec:create": false, groupTerminal + "/pods:create": false} {
		a := authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: "w-admin", Groups: []string{user.AllAuthenticated}, Extra: map[string][]string{ExtraScopes: {scope}}},
			Verb: "create", Path: "/kapis/", APIGroup: groupTerminal, Resource: "pods", Subresource: "exec", Name: "web", Namespace: "w1", ResourceRequest: true,
		}
		decision, _, err := AnyOf{Scoped{}, own}.Authorize(t.Context(), a)
		if got := decision == authorizer.DecisionAllow; got != want || err != nil {
			t.Errorf("a terminal with the scope %s: %v, %v", scope, got, err)
		}
	}
	// Who runs commands by Kubernetes' API does so in terminals, and only there.
	for name, want := range map[string]bool{"admin": true, "w-admin": true, "viewer": false, "local": false} {
		a := authorizer.AttributesRecord{
			User: &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}, Verb: "create", Path: "/kapis/", APIGroup: groupTerminal,
			Resource: "pods", Subresource: "exec", Name: "a", Namespace: "w1", ResourceRequest: true,
		}
		if allowed(t, own, a) != want {
			t.Errorf("a terminal of %s", name)
		}
	}
}

// TestChangesEqualCompilingAnew: after any changes a state is what it would be
// made at once, and the states before are as they were.
func TestChangesEqualCompilingAnew(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	d := places()
	state := compile(nil, d.rights, time.Time{})
	for round := range 300 {
		old, copied := state, compile(nil, state.from, time.Time{})
		place := fmt.Sprint("w", random.IntN(3))
		subjects := []rbacv1.Subject{{Kind: "User", Name: fmt.Sprint("u", random.IntN(4))}, {Kind: []string{"User", "Group"}[random.IntN(2)], Name: fmt.Sprint("g", random.IntN(3))}}
		subjects = append(subjects, subjects[:random.IntN(3)]...) // a binding may name one again
		change := func(items []*iam.Binding) []*iam.Binding {
			binding := &iam.Binding{Name: fmt.Sprint("x", random.IntN(5)), Workspace: place, Namespace: place, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "cluster"}, Subjects: subjects}
			items = slices.DeleteFunc(items, func(b *iam.Binding) bool { return b.Name == binding.Name && b.Namespace == binding.Namespace })
			if random.IntN(3) == 0 {
				return items
			}
			return append(items, binding)
		}
		switch random.IntN(4) {
		case 0:
			set(&d.rights.RoleBindings, bindingName, change)
		case 1:
			set(&d.rights.ClusterRoleBindings, bindingName, change)
		case 2:
			set(&d.rights.Namespaces, nameOf, func(items []*iam.Namespace) []*iam.Namespace {
				items = slices.DeleteFunc(items, func(n *iam.Namespace) bool { return n.Name == place })
				return append(items, &iam.Namespace{Name: place, Workspace: fmt.Sprint("v", random.IntN(2))})
			})
		default:
			set(&d.rights.ClusterRoles, roleName, func([]*iam.Role) []*iam.Role {
				return []*iam.Role{{Name: "cluster", Rules: rules(fmt.Sprint("v", round), "*", "*")}}
			})
		}
		state = compile(state, d.rights, time.Time{})
		same(t, state, compile(nil, d.rights, time.Time{}))
		same(t, old, copied)
	}
}

func same(t *testing.T, got, want *compiled) {
	t.Helper()
	if !reflect.DeepEqual(got.roles, want.roles) || !reflect.DeepEqual(got.workspaces, want.workspaces) {
		t.Fatal("roles or workspaces differ")
	}
	for name, list := range want.namespaces {
		if !sets.New(list...).Equal(sets.New(got.namespaces[name]...)) || len(list) != len(got.namespaces[name]) {
			t.Fatalf("namespaces of %s: %v, want %v", name, got.namespaces[name], list)
		}
	}
	for _, pair := range [][2]map[string]*access{
		{maps.Collect(got.users.all()), maps.Collect(want.users.all())}, {maps.Collect(got.groups.all()), maps.Collect(want.groups.all())},
	} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%d subjects, want %d", len(pair[0]), len(pair[1]))
		}
		for name, one := range pair[1] {
			if !equal(pair[0][name], one) {
				t.Fatalf("%s has %+v, want %+v", name, pair[0][name], one)
			}
		}
	}
}

func equal(a, b *access) bool {
	type given struct {
		binding *iam.Binding
		role    roleKey
	}
	as := func(grants []grant) map[given]int {
		counted := map[given]int{}
		for _, g := range grants {
			counted[given{g.binding, *g.role}]++
		}
		return counted
	}
	places := func(lists placed) map[string]map[given]int {
		all := map[string]map[given]int{}
		for name, grants := range lists.all() {
			all[name] = as(grants)
		}
		return all
	}
	return a != nil && reflect.DeepEqual(as(a.platform), as(b.platform)) && reflect.DeepEqual(as(a.cluster), as(b.cluster)) &&
		reflect.DeepEqual(places(a.workspaces), places(b.workspaces)) && reflect.DeepEqual(places(a.namespaces), places(b.namespaces))
}

// TestHolesOfUpstream: the role of everybody on clusters of KubeSphere 3.x gives
// less than it says, and other roles what they say.
func TestHolesOfUpstream(t *testing.T) {
	upstream := append(append(append(rules("patch", groupTenant, "workspacetemplates"), rules("list", groupIAM, "users")...),
		rules("list", groupResources, "namespaces,services")...), rules("get,list", "*", "storageclasses,nodes")...)
	for role, want := range map[string]bool{"authenticated": false, "mine": true} {
		d := &directory{}
		d.role(role, upstream...)
		d.bind(role, rbacv1.Subject{Kind: "User", Name: "u"})
		rbac := &RBAC{Source: d}
		for _, request := range []string{"patch tenant.kubesphere.io workspacetemplates w", "list iam.kubesphere.io users", "list resources.kubesphere.io namespaces", "list resources.kubesphere.io services"} {
			if got := allowed(t, rbac, to(request)); got != want {
				t.Errorf("%s: %s: %v", role, request, got)
			}
		}
		if !allowed(t, rbac, to(`list storage.k8s.io storageclasses`)) {
			t.Errorf("%s: nothing else is lost", role)
		}
	}
}
