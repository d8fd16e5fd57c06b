package authz

import (
	"context"
	"math"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// maxElements bounds the combinations of verb, group, resource and name that
// rules stand for when they are compared one by one.
const maxElements = 100_000

// Rules are all rules somebody has in a scope, of roles of wider scopes as well.
func (r *RBAC) Rules(ctx context.Context, who user.Info, scope Scope) ([]rbacv1.PolicyRule, error) {
	if r.All {
		every := []string{"*"}
		return []rbacv1.PolicyRule{{Verbs: every, APIGroups: every, Resources: every}, {Verbs: every, NonResourceURLs: every}}, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	var rules []rbacv1.PolicyRule
	for g := range current.given(who, scope) {
		rules = append(rules, current.rules(g)...)
	}
	return rules, nil
}

// Coverer says what a user does not hold. *RBAC does.
type Coverer interface {
	// Covers returns which of the rules the user does not hold in the scope.
	Covers(ctx context.Context, who user.Info, scope Scope, rules []rbacv1.PolicyRule) (missing []rbacv1.PolicyRule, err error)
}

// Covers reports which of the rules the user does not hold in the scope, each
// broken down to one verb on one resource; nil when the user holds all of them.
// It is Kubernetes' escalation check: nobody gives what they do not have. Powers
// that the rules name have to be held by name, and in the namespaces of the
// platform administrators alone hold anything that can be given. It fails with
// status 400 for rules that stand for too many combinations.
func (r *RBAC) Covers(ctx context.Context, who user.Info, scope Scope, rules []rbacv1.PolicyRule) (missing []rbacv1.PolicyRule, err error) {
	if elements(rules) > maxElements {
		return nil, status.BadRequest("the rules stand for more than %d combinations of verb, group, resource and name", maxElements)
	}
	held, err := r.Rules(ctx, who, scope)
	if err != nil {
		return nil, err
	}
	administers, err := r.Administers(ctx, who)
	if err != nil {
		return nil, err
	}
	if !administers && r.Platform != nil && slices.Contains(r.Platform.Namespaces, scope.Namespace) {
		held = nil
	}
	if covered, missing := validation.Covers(held, rules); !covered {
		return missing, nil
	}
	if administers {
		return nil, nil
	}
	return missingPowers(held, rules), nil
}

// elements is the number of combinations rules stand for, at most MaxInt32.
func elements(rules []rbacv1.PolicyRule) int {
	total := 0
	for n := range rules {
		rule := &rules[n]
		resources := product(len(rule.Verbs), len(rule.APIGroups), len(rule.Resources), max(1, len(rule.ResourceNames)))
		total = min(total+resources+product(len(rule.Verbs), len(rule.NonResourceURLs)), math.MaxInt32)
	}
	return total
}

func product(factors ...int) int {
	result := 1
	for _, factor := range factors {
		result = min(result*factor, math.MaxInt32)
	}
	return result
}
