package authz

import (
	"context"
	"iter"
	"math"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// maxElements bounds the combinations of verb, group, resource and name that
// rules stand for when they are compared one by one.
const maxElements = 100_000

const (
	// maxComparisons bounds how many pairs of words are compared when it is checked whether a
	// user holds rules: about a tenth of a second of one processor.
	maxComparisons = 20_000_000
	// fewComparisons is how many are made at once, without waiting for a turn.
	fewComparisons = 1_000_000
)

// maxReviewedBytes bounds the text of the rules that Rules returns.
const maxReviewedBytes = 4 << 20

// HeldRules are the rules a user has in a scope.
type HeldRules struct {
	// ByRole are the rules of each role: those of the role itself, which nobody may change.
	ByRole [][]rbacv1.PolicyRule
	// Bytes is about their length in JSON.
	Bytes int
	// Complete is whether they are all.
	Complete bool
}

// All are the rules one after the other.
func (h *HeldRules) All() iter.Seq[*rbacv1.PolicyRule] {
	return func(yield func(*rbacv1.PolicyRule) bool) {
		for _, rules := range h.ByRole {
			for n := range rules {
				if !yield(&rules[n]) {
					return
				}
			}
		}
	}
}

// Rules returns the rules a user has in a scope, of roles of wider scopes as well, without
// a copy of them. Beyond 4 MiB, which only users who make roles for it have, further ones
// are left out.
func (r *RBAC) Rules(ctx context.Context, who user.Info, scope Scope) (*HeldRules, error) {
	roles, err := r.rulesByRole(ctx, who, scope)
	if err != nil {
		return nil, err
	}
	held := &HeldRules{Complete: true}
	for rules := range roles {
		for n := range rules {
			size := textOf(&rules[n])
			if held.Bytes+size > maxReviewedBytes {
				held.ByRole, held.Complete = append(held.ByRole, rules[:n]), false
				return held, nil
			}
			held.Bytes += size
		}
		held.ByRole = append(held.ByRole, rules)
	}
	return held, nil
}

// textOf is about the length of a rule in JSON.
func textOf(rule *rbacv1.PolicyRule) int {
	size := 64
	for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames, rule.NonResourceURLs} {
		for _, text := range list {
			size += len(text) + 3
		}
	}
	return size
}

// held returns the rules that a user has in a scope and that are wanted, those of each
// role once.
func (r *RBAC) held(ctx context.Context, who user.Info, scope Scope, wanted func(*rbacv1.PolicyRule) bool) ([]rbacv1.PolicyRule, error) {
	roles, err := r.rulesByRole(ctx, who, scope)
	if err != nil {
		return nil, err
	}
	var held []rbacv1.PolicyRule
	for rules := range roles {
		for n := range rules {
			if wanted(&rules[n]) {
				held = append(held, rules[n])
			}
		}
	}
	return held, nil
}

// rulesByRole returns the rules of each role that a user has in a scope, those of a role
// once. They are shared.
func (r *RBAC) rulesByRole(ctx context.Context, who user.Info, scope Scope) (iter.Seq[[]rbacv1.PolicyRule], error) {
	if r.All {
		every := []string{"*"}
		return slices.Values([][]rbacv1.PolicyRule{{{Verbs: every, APIGroups: every, Resources: every}, {Verbs: every, NonResourceURLs: every}}}), nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	return func(yield func([]rbacv1.PolicyRule) bool) {
		seen := make(map[roleKey]bool)
		for g := range current.given(who, scope) {
			rules := current.rules(g)
			if rules == nil || seen[*g.role] {
				continue
			}
			seen[*g.role] = true
			if !yield(rules) {
				return
			}
		}
	}, nil
}

// Coverer compares rules with the rules a user holds. *RBAC does.
type Coverer interface {
	// Covers returns which of the rules the user does not hold in the scope.
	Covers(ctx context.Context, who user.Info, scope Scope, rules []rbacv1.PolicyRule) (missing []rbacv1.PolicyRule, err error)
}

// Covers reports which of the rules the user does not hold in the scope, each
// broken down to one verb on one resource; nil when the user holds all of them.
// It is Kubernetes' escalation check: users give the rights they hold. Powers
// that the rules name have to be held by name, and in the namespaces with
// credentials of the platform administrators alone hold rights to give. With a
// personal access token users hold what its scopes include as well. It fails with
// status 400 for rules that stand for too many combinations.
func (r *RBAC) Covers(ctx context.Context, who user.Info, scope Scope, rules []rbacv1.PolicyRule) (missing []rbacv1.PolicyRule, err error) {
	if elements(rules) > maxElements {
		return nil, status.BadRequest("the rules stand for more than %d combinations of verb, group, resource and name", maxElements)
	}
	held, err := r.held(ctx, who, scope, overlapping(rules))
	if err != nil {
		return nil, err
	}
	administers, err := r.Administers(ctx, who)
	if err != nil {
		return nil, err
	}
	if !administers && r.Platform != nil && r.Platform.Names.HoldsCredentials(scope.Namespace) {
		held = nil
	}
	missing, err = r.notCovered(ctx, who, held, rules)
	if err != nil || len(missing) > 0 || administers {
		return missing, err
	}
	if missing := missingPowers(held, rules); len(missing) > 0 {
		return missing, nil
	}
	return missingInScopes(who, scope, rules), nil
}

// HoldsAll reports whether a user holds all rights on resources in a scope.
func HoldsAll(ctx context.Context, rights Coverer, who user.Info, scope Scope) (bool, error) {
	missing, err := rights.Covers(ctx, who, scope, EverythingIn(scope))
	return err == nil && len(missing) == 0, err
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
