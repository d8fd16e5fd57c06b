package iam

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// everyVerb are the verbs that "*" stands for in a role of a namespace.
var everyVerb = []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

// ExplicitVerbs returns rules with the verbs that "*" stands for in its place.
// Through this server both mean the same, since a "*" includes no powers here. At
// kube-apiserver a "*" includes them: whoever has credentials that it accepts, such
// as a service account of the namespace, would write roles of any rules, act as
// other service accounts, and so on. Rules without a "*" are returned as they are.
func ExplicitVerbs(rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var explicit []rbacv1.PolicyRule
	for n := range rules {
		if len(rules[n].Resources) == 0 || !slices.Contains(rules[n].Verbs, rbacv1.VerbAll) {
			continue
		}
		if explicit == nil {
			explicit = slices.Clone(rules)
		}
		verbs := slices.Clone(everyVerb)
		for _, verb := range rules[n].Verbs {
			if verb != rbacv1.VerbAll && !slices.Contains(verbs, verb) {
				verbs = append(verbs, verb)
			}
		}
		explicit[n].Verbs = verbs
	}
	if explicit == nil {
		return rules
	}
	return explicit
}
