package authz

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// directory provides roles, bindings and namespaces a test sets.
type directory struct {
	rights iam.Rights
	err    error
}

func (d *directory) Rights(context.Context) (iam.Rights, error) { return d.rights, d.err }

// set makes the next state of one type; items are put in the order of names.
func set[T any](of *iam.Objects[T], name func(*T) string, change func([]*T) []*T) {
	items := change(slices.Clone(of.Items))
	slices.SortStableFunc(items, func(a, b *T) int { return strings.Compare(name(a), name(b)) })
	*of = iam.Objects[T]{Revision: of.Revision + 1, Items: items}
}

func roleName(r *iam.Role) string       { return r.Name + "/" + r.Namespace }
func bindingName(b *iam.Binding) string { return b.Name + "/" + b.Namespace }
func nameOf(n *iam.Namespace) string    { return n.Name }

func adding[T any](item *T) func([]*T) []*T {
	return func(items []*T) []*T { return append(items, item) }
}

func (d *directory) role(name string, rules ...rbacv1.PolicyRule) {
	set(&d.rights.GlobalRoles, roleName, adding(&iam.Role{Name: name, Rules: rules}))
}

func (d *directory) bind(role string, subjects ...rbacv1.Subject) {
	set(&d.rights.GlobalRoleBindings, bindingName, adding(&iam.Binding{
		Name: fmt.Sprintf("b-%06d", len(d.rights.GlobalRoleBindings.Items)), RoleRef: rbacv1.RoleRef{Kind: "GlobalRole", Name: role}, Subjects: subjects,
	}))
}

func allowed(t testing.TB, a authorizer.UnconditionalAuthorizer, request authorizer.Attributes) bool {
	t.Helper()
	decision, _, err := a.Authorize(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if decision == authorizer.DecisionDeny {
		t.Error("RBAC never denies: others may have an opinion")
	}
	return decision == authorizer.DecisionAllow
}

// to is a request for a resource, in the form verb group resource[/sub] [name].
func to(text string) authorizer.AttributesRecord {
	words := strings.Fields(text)
	a := authorizer.AttributesRecord{ResourceRequest: true, Verb: words[0], APIGroup: strings.Trim(words[1], `"`), User: &user.DefaultInfo{Name: "u"}}
	a.Resource, a.Subresource, _ = strings.Cut(words[2], "/")
	if len(words) > 3 {
		a.Name = words[3]
	}
	return a
}

func path(verb, path string) authorizer.AttributesRecord {
	return authorizer.AttributesRecord{Verb: verb, Path: path, User: &user.DefaultInfo{Name: "u"}}
}

func TestRules(t *testing.T) {
	list := func(items ...string) []string { return items }
	everything := rbacv1.PolicyRule{Verbs: list("*"), APIGroups: list("*"), Resources: list("*")}
	pods := rbacv1.PolicyRule{Verbs: list("get", "list"), APIGroups: list(""), Resources: list("pods")}
	logs := rbacv1.PolicyRule{Verbs: list("get"), APIGroups: list(""), Resources: list("pods/log")}
	anyStatus := rbacv1.PolicyRule{Verbs: list("get"), APIGroups: list("*"), Resources: list("*/status")}
	named := rbacv1.PolicyRule{Verbs: list("*"), APIGroups: list(""), Resources: list("secrets"), ResourceNames: list("a")}
	paths := rbacv1.PolicyRule{Verbs: list("get"), NonResourceURLs: list("/healthz", "/kapis/config/*")}
	upper := rbacv1.PolicyRule{Verbs: list("GET"), NonResourceURLs: list("*")}
	for _, test := range []struct {
		name    string
		rule    rbacv1.PolicyRule
		request authorizer.AttributesRecord
		want    bool
	}{
		{"everything", everything, to(`delete apps deployments/scale a`), true},
		{"everything is no path", everything, path("get", "/metrics"), false},
		{"verb", pods, to(`get "" pods a`), true},
		{"another verb", pods, to(`delete "" pods a`), false},
		{"verbs of resources have a case", pods, to(`GET "" pods a`), false},
		{"another group", pods, to(`get metrics.k8s.io pods a`), false},
		{"another resource", pods, to(`get "" secrets a`), false},
		{"a resource is not its subresources", pods, to(`get "" pods/log a`), false},
		{"a subresource is not its resource", logs, to(`get "" pods a`), false},
		{"subresource", logs, to(`get "" pods/log a`), true},
		{"subresource of anything", anyStatus, to(`get apps deployments/status a`), true},
		{"another subresource of anything", anyStatus, to(`get apps deployments/scale a`), false},
		{"resource of the name of the subresource", anyStatus, to(`get apps status`), false},
		{"*/status is not everything", anyStatus, to(`get "" pods`), false},
		{"name", named, to(`get "" secrets a`), true},
		{"another name", named, to(`get "" secrets b`), false},
		{"a list has no name", named, to(`list "" secrets`), false},
		{"a rule for resources is none for paths", pods, path("get", "/pods"), false},
		{"path", paths, path("get", "/healthz"), true},
		{"below a path", paths, path("get", "/healthz/ping"), false},
		{"below a path with a star", paths, path("get", "/kapis/config/a/b"), true},
		{"a path with a star and nothing", paths, path("get", "/kapis/config/"), true},
		{"beside it", paths, path("get", "/kapis/configs"), false},
		{"another method", paths, path("post", "/healthz"), false},
		{"a rule for paths is none for resources", paths, to(`get "" pods`), false},
		// The built-in roles of KubeSphere name methods in capitals.
		{"method in capitals", upper, path("get", "/anything"), true},
		{"another method in capitals", upper, path("delete", "/anything"), false},
		{"a star is a star only at the end", rbacv1.PolicyRule{Verbs: list("*"), NonResourceURLs: list("/a/*/b")}, path("get", "/a/x/b"), false},
		// Kubernetes takes any number of stars at the end for one.
		{"two stars", rbacv1.PolicyRule{Verbs: list("*"), NonResourceURLs: list("/a/**")}, path("get", "/a/b"), true},
		{"no verbs", rbacv1.PolicyRule{APIGroups: list("*"), Resources: list("*")}, to(`get "" pods`), false},
		{"no groups", rbacv1.PolicyRule{Verbs: list("*"), Resources: list("*")}, to(`get "" pods`), false},
		{"nothing", rbacv1.PolicyRule{}, to(`get "" pods`), false},
		{"nothing, for a path", rbacv1.PolicyRule{}, path("get", "/"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &directory{}
			d.role("r", test.rule)
			d.bind("r", rbacv1.Subject{Kind: "User", Name: "u"})
			if got := allowed(t, &RBAC{Source: d}, test.request); got != test.want {
				t.Errorf("allowed: %v", got)
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	someone := func(name string, groups ...string) user.Info { return &user.DefaultInfo{Name: name, Groups: groups} }
	for _, test := range []struct {
		name    string
		subject rbacv1.Subject
		who     user.Info
		want    bool
	}{
		{"user", rbacv1.Subject{Kind: "User", Name: "a"}, someone("a"), true},
		{"another user", rbacv1.Subject{Kind: "User", Name: "a"}, someone("b"), false},
		{"a user is no group", rbacv1.Subject{Kind: "User", Name: "a"}, someone("b", "a"), false},
		{"group", rbacv1.Subject{Kind: "Group", Name: "g"}, someone("a", "f", "g"), true},
		{"a group is no user", rbacv1.Subject{Kind: "Group", Name: "g"}, someone("g"), false},
		{"everybody who is logged in", rbacv1.Subject{Kind: "Group", Name: user.AllAuthenticated}, someone("a", user.AllAuthenticated), true},
		{"who is not", rbacv1.Subject{Kind: "Group", Name: user.AllAuthenticated}, someone(user.Anonymous, user.AllUnauthenticated), false},
		{"service account", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "s"}, someone("system:serviceaccount:n:s"), true},
		{"of another namespace", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "s"}, someone("system:serviceaccount:m:s"), false},
		{"a user of its name", rbacv1.Subject{Kind: "ServiceAccount", Namespace: "n", Name: "s"}, someone("s"), false},
		{"a kind nobody knows", rbacv1.Subject{Kind: "Robot", Name: "a"}, someone("a"), false},
		{"nobody", rbacv1.Subject{Kind: "User", Name: ""}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &directory{}
			d.role("r", rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}})
			d.bind("r", test.subject)
			request := path("get", "/")
			if request.User = test.who; test.who == nil {
				request.User = nil
			}
			if got := allowed(t, &RBAC{Source: d}, request); got != test.want {
				t.Errorf("allowed: %v", got)
			}
		})
	}
}

func TestBindings(t *testing.T) {
	d := &directory{}
	rbac := &RBAC{Source: d}
	request := path("get", "/a")
	expect := func(want bool, why string) {
		t.Helper()
		if got := allowed(t, rbac, request); got != want {
			t.Errorf("%s: allowed %v", why, got)
		}
	}
	expect(false, "the default is to deny")
	d.bind("r", rbacv1.Subject{Kind: "User", Name: "u"})
	expect(false, "a binding to a role that is missing")
	d.role("r", rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/a"}})
	expect(true, "the role was created after its binding")
	kind := func(kind string) {
		set(&d.rights.GlobalRoleBindings, bindingName, func(items []*iam.Binding) []*iam.Binding {
			changed := *items[0]
			changed.RoleRef.Kind = kind
			return []*iam.Binding{&changed}
		})
	}
	kind("ClusterRole")
	expect(false, "the binding names another kind of role")
	kind("GlobalRole")
	expect(true, "the binding was corrected")
	set(&d.rights.GlobalRoles, roleName, func([]*iam.Role) []*iam.Role { return nil })
	expect(false, "the role was deleted")

	d.err = errors.New("not read yet")
	if decision, _, err := rbac.Authorize(t.Context(), request); err == nil || decision == authorizer.DecisionAllow {
		t.Errorf("roles that cannot be read: %v, %v", decision, err)
	}
}

func TestPublicAndAnyOf(t *testing.T) {
	public := Public{"/healthz", "/docs/"}
	for path, want := range map[string]bool{
		"/healthz": true, "/healthz/": false, "/healthzz": false, "/docs/": true, "/docs/a/b": true, "/docs": false, "/": false, "": false,
	} {
		if got := allowed(t, AnyOf{public}, authorizer.AttributesRecord{Path: path, Verb: "get"}); got != want {
			t.Errorf("%q: allowed %v", path, got)
		}
	}
	failing := &RBAC{Source: &directory{err: errors.New("away")}}
	if !allowed(t, AnyOf{public, failing}, authorizer.AttributesRecord{Path: "/healthz"}) {
		t.Error("public paths need no roles")
	}
	if decision, _, err := (AnyOf{failing, public}).Authorize(t.Context(), authorizer.AttributesRecord{Path: "/healthz"}); err == nil || decision == authorizer.DecisionAllow {
		t.Errorf("an error is no permission: %v, %v", decision, err)
	}
	if allowed(t, AnyOf{}, authorizer.AttributesRecord{Path: "/"}) {
		t.Error("nobody permitted it")
	}
}

// TestRulesEqualKubernetes compares with the rules of kube-apiserver on random
// rules and requests (P36).
func TestRulesEqualKubernetes(t *testing.T) {
	some := func(values ...string) *rapid.Generator[[]string] {
		return rapid.SliceOfN(rapid.SampledFrom(values), 0, 3)
	}
	verbs := some("*", "get", "list", "create")
	groups, resources := some("*", "", "apps"), some("*", "pods", "pods/log", "*/log", "*/lo", "log", "*/", "deployments")
	names, urls := some("a", "b", ""), some("*", "/", "/a", "/a/*", "/a*", "/a/**", "a*", "/*", "")
	rapid.Check(t, func(t *rapid.T) {
		d := &directory{}
		var rules []rbacv1.PolicyRule
		for n := range rapid.IntRange(0, 4).Draw(t, "rules") {
			rule := rbacv1.PolicyRule{
				Verbs: verbs.Draw(t, "verbs"), APIGroups: groups.Draw(t, "groups"), Resources: resources.Draw(t, "resources"),
				ResourceNames: names.Draw(t, "names"), NonResourceURLs: urls.Draw(t, "urls"),
			}
			rules = append(rules, rule)
			d.role(fmt.Sprint("r", n), rule)
			subject := rapid.SampledFrom([]rbacv1.Subject{{Kind: "User", Name: "u"}, {Kind: "Group", Name: "g"}}).Draw(t, "subject")
			d.bind(fmt.Sprint("r", n), subject)
		}
		rbac := &RBAC{Source: d}
		for range 20 {
			request := authorizer.AttributesRecord{
				User: &user.DefaultInfo{Name: "u", Groups: []string{"g"}}, Verb: rapid.SampledFrom([]string{"get", "list", "create", ""}).Draw(t, "verb"),
				APIGroup: rapid.SampledFrom([]string{"", "apps"}).Draw(t, "group"), Resource: rapid.SampledFrom([]string{"pods", "deployments", "log"}).Draw(t, "resource"),
				Subresource: rapid.SampledFrom([]string{"", "log", "scale"}).Draw(t, "subresource"), Name: rapid.SampledFrom([]string{"", "a", "c"}).Draw(t, "name"),
				Path: rapid.SampledFrom([]string{"/", "/a", "/a/", "/a/b", "/ab", "/b"}).Draw(t, "path"), ResourceRequest: rapid.Bool().Draw(t, "is a resource"),
			}
			decision, _, err := rbac.Authorize(context.Background(), request)
			if err != nil {
				t.Fatal(err)
			}
			if want := kubernetesAllows(request, rules); (decision == authorizer.DecisionAllow) != want {
				t.Fatalf("%+v by %+v: %v, Kubernetes says %v", request, rules, decision, want)
			}
		}
	})
}

// kubernetesAllows is RulesAllow of k8s.io/kubernetes 1.37
// (plugin/pkg/auth/authorizer/rbac and pkg/apis/rbac/v1/evaluation_helpers.go).
func kubernetesAllows(a authorizer.AttributesRecord, rules []rbacv1.PolicyRule) bool {
	combined := a.Resource
	if a.Subresource != "" {
		combined += "/" + a.Subresource
	}
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool {
		if !slices.Contains(rule.Verbs, "*") && !slices.Contains(rule.Verbs, a.Verb) {
			return false
		}
		if !a.ResourceRequest {
			return slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
				return url == "*" || url == a.Path || strings.HasSuffix(url, "*") && strings.HasPrefix(a.Path, strings.TrimRight(url, "*"))
			})
		}
		return (slices.Contains(rule.APIGroups, "*") || slices.Contains(rule.APIGroups, a.APIGroup)) &&
			slices.ContainsFunc(rule.Resources, func(resource string) bool {
				return resource == "*" || resource == combined || a.Subresource != "" && len(resource) == len(a.Subresource)+2 &&
					strings.HasPrefix(resource, "*/") && strings.HasSuffix(resource, a.Subresource)
			}) && (len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.Name))
	})
}
