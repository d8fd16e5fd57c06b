package authz

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// TestNotCoveredIsKubernetesCheck: rules that are compared at once or not at all change
// nothing in what Kubernetes' check finds.
func TestNotCoveredIsKubernetesCheck(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	some := func(from ...string) []string {
		var list []string
		for _, one := range from {
			if random.IntN(len(from)) < 2 {
				list = append(list, one)
			}
		}
		return list
	}
	drawn := func() []rbacv1.PolicyRule {
		rules := make([]rbacv1.PolicyRule, random.IntN(5))
		for n := range rules {
			rules[n] = rbacv1.PolicyRule{
				Verbs: some("get", "list", "create", "*"), APIGroups: some("", "apps", "*"),
				Resources: some("pods", "pods/log", "*/log", "*", "deployments"), ResourceNames: some("a", "b", "", "", "", "", "", ""),
			}
			rules[n].ResourceNames = slices.DeleteFunc(rules[n].ResourceNames, func(name string) bool { return name == "" })
			if random.IntN(5) == 0 {
				rules[n] = rbacv1.PolicyRule{Verbs: some("get", "*"), NonResourceURLs: some("/a", "/a/*", "*")}
			}
		}
		return rules
	}
	covered := 0
	for range 5_000 {
		held, rules := drawn(), drawn()
		overlaps := overlapping(rules)
		relevant := slices.DeleteFunc(slices.Clone(held), func(rule rbacv1.PolicyRule) bool { return !overlaps(&rule) })
		got, err := notCovered(relevant, rules)
		whole, want := validation.Covers(held, rules)
		if whole {
			covered++
		}
		if err != nil || whole != (len(got) == 0) {
			t.Fatalf("held %v, rules %v: %v, %v; want %v", held, rules, got, err, want)
		}
		if !whole {
			rest, err := notHeldWhole(relevant, rules)
			if _, want = validation.Covers(held, rest); err != nil || !reflect.DeepEqual(got, want[:min(len(want), maxMissing)]) {
				t.Fatalf("held %v, rules %v: %v, want %v", held, rules, got, want)
			}
		}
		if got, want := missingPowers(relevant, rules), missingPowers(held, rules); !reflect.DeepEqual(got, want) {
			t.Fatalf("held %v, rules %v: powers %v, want %v", held, rules, got, want)
		}
	}
	if covered < 250 {
		t.Errorf("only %d of the rules are held", covered)
	}
}

// TestCostOfComparing: one small request made the server compare for minutes, by a role
// with 12,000 rules that the user had made and bound.
func TestCostOfComparing(t *testing.T) {
	d, jane := &directory{}, &user.DefaultInfo{Name: "jane"}
	own := make([]rbacv1.PolicyRule, 12_000)
	for n := range own {
		own[n] = rbacv1.PolicyRule{Verbs: []string{"get", fmt.Sprint("v", n%46)}, APIGroups: []string{fmt.Sprint("g", n%46)}, Resources: []string{fmt.Sprint("r", n%46), fmt.Sprint("s", n)}}
	}
	set(&d.rights.Roles, roleName, adding(&iam.Role{Namespace: "n", Name: "slow", Rules: own}))
	set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{
		Namespace: "n", Name: "slow", RoleRef: rbacv1.RoleRef{Kind: kindRole, Name: "slow"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}},
	}))
	rbac, scope := &RBAC{Source: d}, Scope{Namespace: "n"}
	wide := func(width int) []rbacv1.PolicyRule {
		rule := rbacv1.PolicyRule{}
		for n := range width {
			rule.Verbs, rule.APIGroups, rule.Resources = append(rule.Verbs, fmt.Sprint("v", n)), append(rule.APIGroups, fmt.Sprint("g", n)), append(rule.Resources, fmt.Sprint("r", n))
		}
		return []rbacv1.PolicyRule{rule}
	}
	narrow := func(ctx context.Context, rules []rbacv1.PolicyRule) error {
		return rbac.MayNarrow(ctx, jane, scope, schema.GroupResource{Resource: "roles"}, "other", rules)
	}
	write := func(ctx context.Context, rules []rbacv1.PolicyRule) error {
		return rbac.MayWriteRole(ctx, jane, scope, schema.GroupResource{Resource: "roles"}, "other", rules)
	}
	for _, test := range []struct {
		name    string
		decide  func(context.Context, []rbacv1.PolicyRule) error
		rules   []rbacv1.PolicyRule
		refused func(error) bool
	}{
		{"10 verbs, groups and resources", write, wide(10), apierrors.IsBadRequest},
		{"20 verbs, groups and resources", write, wide(20), apierrors.IsBadRequest},
		{"46 verbs, groups and resources", write, wide(46), apierrors.IsBadRequest},
		{"a role with them taken away", narrow, wide(46), apierrors.IsForbidden},
		{"a few", write, wide(2), apierrors.IsForbidden},
		{"the role again", write, own, func(err error) bool { return err == nil }},
		{"the role taken away", narrow, own, func(err error) bool { return err == nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			started := time.Now()
			if err := test.decide(t.Context(), test.rules); !test.refused(err) {
				t.Errorf("%v", err)
			}
			// Minutes before, and about 10 ms now.
			if took := time.Since(started); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestRulesAreBounded: a review of rules lists each role once, and no more than 4 MiB.
func TestRulesAreBounded(t *testing.T) {
	d, jane := &directory{}, &user.DefaultInfo{Name: "jane"}
	bind := func(name string, rules []rbacv1.PolicyRule) {
		set(&d.rights.Roles, roleName, adding(&iam.Role{Namespace: "n", Name: name, Rules: rules}))
		for n := range 3 {
			set(&d.rights.RoleBindings, bindingName, adding(&iam.Binding{
				Namespace: "n", Name: fmt.Sprint(name, n), RoleRef: rbacv1.RoleRef{Kind: kindRole, Name: name}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}},
			}))
		}
	}
	bind("small", rules("get", "", "pods"))
	rbac := &RBAC{Source: d}
	if got, err := rbac.Rules(t.Context(), jane, Scope{Namespace: "n"}); err != nil || len(slices.Collect(got.All())) != 1 || !got.Complete {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range 20 {
		names := make([]string, 50_000)
		for k := range names {
			names[k] = "a-name"
		}
		bind(fmt.Sprint("large", n), []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}, ResourceNames: names}})
	}
	var got *HeldRules
	if took := testing.AllocsPerRun(1, func() {
		var err error
		if got, err = rbac.Rules(t.Context(), jane, Scope{Namespace: "n"}); err != nil {
			t.Fatal(err)
		}
	}); took > 100 {
		t.Errorf("rules are copied: %v allocations", took)
	}
	size, count := 0, 0
	for rule := range got.All() {
		size, count = size+textOf(rule), count+1
	}
	if got.Complete || size != got.Bytes || size > maxReviewedBytes || count < 5 {
		t.Errorf("%d rules of %d bytes, %d in all, complete: %v", count, size, got.Bytes, got.Complete)
	}
}

// TestMemoryOfComparing: a rule of 1 KB that stands for 100,000 combinations took 85 MiB,
// whatever the user held.
func TestMemoryOfComparing(t *testing.T) {
	rule := rbacv1.PolicyRule{Verbs: make([]string, 10), APIGroups: make([]string, 100), Resources: make([]string, 100)}
	for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources} {
		for n := range list {
			list[n] = fmt.Sprint("x", n)
		}
	}
	named := rule
	named.Verbs = append([]string{"impersonate"}, rule.Verbs[1:]...)
	reader := rules("get,list", "", "*")
	for _, test := range []struct {
		name       string
		held, rule []rbacv1.PolicyRule
	}{
		{"of a user with little", reader, []rbacv1.PolicyRule{rule}},
		{"of a user with everything", Everything(), []rbacv1.PolicyRule{rule}},
		{"with a power", Everything(), []rbacv1.PolicyRule{named}},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		missing, err := notCovered(test.held, test.rule)
		powers := missingPowers(test.held, test.rule)
		scoped := missingInScopes(&user.DefaultInfo{Name: "u", Extra: map[string][]string{ExtraScopes: {"read"}}}, Scope{Namespace: "n"}, test.rule)
		runtime.ReadMemStats(&after)
		if size := after.TotalAlloc - before.TotalAlloc; size > 4<<20 || err != nil {
			t.Errorf("%s: %d bytes, %d missing, %v", test.name, size, len(missing), err)
		}
		if len(missing) > maxMissing || len(powers) > maxMissing || len(scoped) > maxMissing {
			t.Errorf("%s: %d, %d and %d are missing", test.name, len(missing), len(powers), len(scoped))
		}
	}
}
