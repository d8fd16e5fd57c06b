package iam

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

func TestExplicitVerbs(t *testing.T) {
	eight := []string{"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
	pods := func(verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"pods"}}
	}
	path := rbacv1.PolicyRule{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}
	for name, test := range map[string]struct{ rules, want []rbacv1.PolicyRule }{
		"none":                    {nil, nil},
		"named":                   {[]rbacv1.PolicyRule{pods("get", "escalate")}, []rbacv1.PolicyRule{pods("get", "escalate")}},
		"all":                     {[]rbacv1.PolicyRule{pods("get"), pods("*")}, []rbacv1.PolicyRule{pods("get"), pods(eight...)}},
		"all and some by name":    {[]rbacv1.PolicyRule{pods("get", "*", "bind")}, []rbacv1.PolicyRule{pods(append(eight[:8:8], "bind")...)}},
		"paths have other verbs":  {[]rbacv1.PolicyRule{path}, []rbacv1.PolicyRule{path}},
		"twice is the same again": {ExplicitVerbs([]rbacv1.PolicyRule{pods("*")}), []rbacv1.PolicyRule{pods(eight...)}},
	} {
		before := (&rbacv1.Role{Rules: test.rules}).DeepCopy()
		if got := ExplicitVerbs(test.rules); !equality.Semantic.DeepEqual(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
		if !equality.Semantic.DeepEqual(before.Rules, test.rules) {
			t.Errorf("%s: the rules themselves have changed", name)
		}
	}
}
