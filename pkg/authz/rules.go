package authz

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// allows reports whether a rule permits a request, as kube-apiserver's RBAC
// authorizer decides it.
func allows(rule *rbacv1.PolicyRule, a authorizer.Attributes) bool {
	if !a.IsResourceRequest() {
		return methodMatches(rule.Verbs, a.GetVerb()) && nonResourceMatches(rule.NonResourceURLs, a.GetPath())
	}
	return matches(rule.Verbs, a.GetVerb()) && matches(rule.APIGroups, a.GetAPIGroup()) &&
		resourceMatches(rule.Resources, a.GetResource(), a.GetSubresource()) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName()))
}

func matches(allowed []string, wanted string) bool {
	return slices.Contains(allowed, "*") || slices.Contains(allowed, wanted)
}

// methodMatches compares HTTP methods in any case: Kubernetes writes them in
// lower case, the roles of KubeSphere in upper case.
func methodMatches(allowed []string, wanted string) bool {
	return slices.ContainsFunc(allowed, func(verb string) bool { return verb == "*" || strings.EqualFold(verb, wanted) })
}

func resourceMatches(allowed []string, resource, subresource string) bool {
	combined := resource
	if subresource != "" {
		combined += "/" + subresource
	}
	for _, candidate := range allowed {
		if candidate == "*" || candidate == combined {
			return true
		}
		if subresource != "" && candidate == "*/"+subresource {
			return true
		}
	}
	return false
}

func nonResourceMatches(allowed []string, path string) bool {
	for _, candidate := range allowed {
		if candidate == "*" || candidate == path {
			return true
		}
		if prefix := strings.TrimRight(candidate, "*"); prefix != candidate && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}
