package authz

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// notCovered returns which rules held rules do not include, each broken down to one
// verb on one resource, as Kubernetes' escalation check decides it. Users make both the
// rules and, in their projects, the rules they hold: it fails with status 400 where
// comparing them one by one would take long.
func notCovered(held, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	rest, err := notHeldWhole(held, rules)
	if err != nil {
		return nil, err
	}
	// Powers have to be held by name, which is compared one by one as well.
	named := slices.DeleteFunc(slices.Clone(rules), func(rule rbacv1.PolicyRule) bool { return !namesPower(&rule) })
	if product(elements(named)+elements(rest), words(held)) > maxComparisons {
		return nil, tooManyComparisons()
	}
	if covered, missing := validation.Covers(held, rest); !covered {
		return missing, nil
	}
	return nil, nil
}

// notHeldWhole returns the rules that no single held rule includes.
func notHeldWhole(held, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	known := make(map[string]bool, len(held))
	for n := range held {
		known[textKey(&held[n])] = true
	}
	rest := slices.DeleteFunc(slices.Clone(rules), func(rule rbacv1.PolicyRule) bool { return known[textKey(&rule)] })
	if product(len(rest), len(held), short*short) > maxComparisons {
		return nil, tooManyComparisons()
	}
	return slices.DeleteFunc(rest, func(rule rbacv1.PolicyRule) bool {
		return slices.ContainsFunc(held, func(one rbacv1.PolicyRule) bool { return includesRule(&one, &rule) })
	}), nil
}

// words is how many words rules consist of, and some for the rule itself.
func words(rules []rbacv1.PolicyRule) int {
	total := 0
	for n := range rules {
		rule := &rules[n]
		total += 4 + len(rule.Verbs) + len(rule.APIGroups) + len(rule.Resources) + len(rule.ResourceNames) + len(rule.NonResourceURLs)
	}
	return total
}

func tooManyComparisons() error {
	return status.BadRequest("the rules and those the user holds are too many to compare; use fewer rules, or \"*\"")
}

// textKey is the same for equal rules only.
func textKey(rule *rbacv1.PolicyRule) string {
	var key strings.Builder
	for _, list := range [][]string{rule.Verbs, rule.APIGroups, rule.Resources, rule.ResourceNames, rule.NonResourceURLs} {
		for _, text := range list {
			key.WriteString(text)
			key.WriteByte(0)
		}
		key.WriteByte(1)
	}
	return key.String()
}

// short is how long lists may be that includesRule compares.
const short = 8

// includesRule reports whether a rule on resources includes another one as it stands. It
// compares no more than lists that are short or hold "*"; what it does not find is left
// to the comparison of elements.
func includesRule(held, rule *rbacv1.PolicyRule) bool {
	all := func(held, wanted []string) bool {
		return slices.Contains(held[:min(len(held), short)], "*") ||
			len(held) <= short && len(wanted) <= short && !slices.ContainsFunc(wanted, func(one string) bool { return !slices.Contains(held, one) })
	}
	return len(rule.Resources) > 0 && len(rule.NonResourceURLs) == 0 && len(held.ResourceNames) == 0 && len(held.Resources) > 0 &&
		all(held.Verbs, rule.Verbs) && all(held.APIGroups, rule.APIGroups) && all(held.Resources, rule.Resources)
}

// overlapping returns which held rules may include a part of rules: the others need not
// be compared.
func overlapping(rules []rbacv1.PolicyRule) func(*rbacv1.PolicyRule) bool {
	verbs, groups, resources, suffixes := sets.New[string](), sets.New[string](), sets.New[string](), sets.New[string]()
	paths := false
	for n := range rules {
		verbs.Insert(rules[n].Verbs...)
		groups.Insert(rules[n].APIGroups...)
		resources.Insert(rules[n].Resources...)
		for _, resource := range rules[n].Resources {
			if _, subresource, found := strings.Cut(resource, "/"); found {
				suffixes.Insert("*/" + subresource)
			}
		}
		paths = paths || len(rules[n].NonResourceURLs) > 0
	}
	overlap := func(held []string, wanted sets.Set[string]) bool {
		return slices.ContainsFunc(held, func(one string) bool { return one == "*" || wanted.Has(one) })
	}
	return func(held *rbacv1.PolicyRule) bool {
		return overlap(held.Verbs, verbs) && (paths && len(held.NonResourceURLs) > 0 ||
			overlap(held.APIGroups, groups) && (overlap(held.Resources, resources) || overlap(held.Resources, suffixes)))
	}
}
