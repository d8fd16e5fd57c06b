package authz

import (
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// crowd has 5,000 users with four bindings each to one of 200 roles.
func crowd() *directory {
	d := &directory{}
	for n := range 200 {
		var rules []rbacv1.PolicyRule
		for k := range 10 {
			rules = append(rules, rbacv1.PolicyRule{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"apps", ""}, Resources: []string{fmt.Sprintf("type%d-%d", n, k), "deployments/scale"}})
		}
		d.role(fmt.Sprint("role-", n), rules...)
	}
	for n := range 20_000 {
		d.bind(fmt.Sprint("role-", n%200), rbacv1.Subject{Kind: "User", Name: fmt.Sprint("user-", n%5000)})
	}
	d.role("authenticated", rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/version"}})
	d.bind("authenticated", rbacv1.Subject{Kind: "Group", Name: user.AllAuthenticated})
	return d
}

// BenchmarkAuthorize decides for one of 5,000 users with 20,000 bindings. The
// budget is 5 µs; a request that is denied is the longest.
func BenchmarkAuthorize(b *testing.B) {
	rbac := &RBAC{Roles: crowd()}
	for _, test := range []struct {
		name, verb string
		want       authorizer.Decision
	}{{"allowed", "list", authorizer.DecisionAllow}, {"denied", "delete", authorizer.DecisionNoOpinion}} {
		b.Run(test.name, func(b *testing.B) {
			request := authorizer.AttributesRecord{
				User: &user.DefaultInfo{Name: "user-4199", Groups: []string{"developers", user.AllAuthenticated}}, Verb: test.verb,
				APIGroup: "apps", Resource: "type199-9", ResourceRequest: true,
			}
			b.ReportAllocs()
			for b.Loop() {
				if decision, _, err := rbac.Authorize(b.Context(), &request); err != nil || decision != test.want {
					b.Fatal(decision, err)
				}
			}
		})
	}
}

// BenchmarkCompile is what the first decision after a change costs.
func BenchmarkCompile(b *testing.B) {
	d := crowd()
	b.ReportAllocs()
	for b.Loop() {
		compile(d.roles, d.bindings)
	}
}
