package authz

import (
	"iter"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// notCovered returns which rules held rules do not include, each broken down to one
// verb on one resource, as Kubernetes' escalation check decides it; maxMissing of them at
// most. Users make both the rules and, in their projects, the rules they hold: it fails
// with status 400 where comparing them one by one would take long.
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
	return missingElements(held, rest), nil
}

// maxMissing bounds how many elements are returned as missing: a small rule stands for
// many.
const maxMissing = 100

// missingElements returns the elements of rules that held rules do not include. They are
// compared as they are made, since all of them take a thousand times the memory of rules.
func missingElements(held, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var missing []rbacv1.PolicyRule
	for n := range rules {
		for one := range elementsOf(&rules[n]) {
			if slices.ContainsFunc(held, func(rule rbacv1.PolicyRule) bool { return one.includedIn(&rule) }) {
				continue
			}
			if missing = append(missing, one.rule()); len(missing) == maxMissing {
				return missing
			}
		}
	}
	return missing
}

// element is a rule of one verb on one resource, or on one path.
type element struct {
	verb, group, resource, name, path string
}

// elementsOf are the elements a rule stands for, in the order of Kubernetes'
// escalation check.
func elementsOf(rule *rbacv1.PolicyRule) iter.Seq[element] {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	return func(yield func(element) bool) {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					for _, name := range names {
						if !yield(element{verb: verb, group: group, resource: resource, name: name}) {
							return
						}
					}
				}
			}
		}
		for _, path := range rule.NonResourceURLs {
			for _, verb := range rule.Verbs {
				if !yield(element{verb: verb, path: path}) {
					return
				}
			}
		}
	}
}

func (e element) rule() rbacv1.PolicyRule {
	if e.path != "" {
		return rbacv1.PolicyRule{Verbs: []string{e.verb}, NonResourceURLs: []string{e.path}}
	}
	rule := rbacv1.PolicyRule{Verbs: []string{e.verb}, APIGroups: []string{e.group}, Resources: []string{e.resource}}
	if e.name != "" {
		rule.ResourceNames = []string{e.name}
	}
	return rule
}

// includedIn reports whether a held rule includes an element, as Kubernetes' escalation
// check decides it.
func (e element) includedIn(held *rbacv1.PolicyRule) bool {
	if !matches(held.Verbs, e.verb) {
		return false
	}
	if e.path != "" {
		return slices.ContainsFunc(held.NonResourceURLs, func(path string) bool {
			return path == rbacv1.NonResourceAll || path == e.path || strings.HasSuffix(path, "*") && strings.HasPrefix(e.path, strings.TrimRight(path, "*"))
		})
	}
	resource, subresource, _ := strings.Cut(e.resource, "/")
	return matches(held.APIGroups, e.group) && resourceMatches(held.Resources, resource, subresource) &&
		(len(held.ResourceNames) == 0 || e.name != "" && slices.Contains(held.ResourceNames, e.name))
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
