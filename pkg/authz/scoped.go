package authz

import (
	"context"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// ExtraScopes is the key of user.Info's extra with the scopes of the personal
// access token a request came with.
const ExtraScopes = "ks-apiserver.kubesphere.io/scopes"

// Scopes that name no resource.
const (
	// ScopeAll is everything the user may do.
	ScopeAll = "all"
	// ScopeRead is to get, list and watch whatever the user may.
	ScopeRead = "read"
)

// Scoped denies what the scopes of a personal access token do not include, and
// whatever their scopes what would give more than them: other credentials. It
// has no opinion about requests that came with something else, and goes before
// what permits.
type Scoped struct{}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (Scoped) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser() == nil {
		return authorizer.DecisionNoOpinion, "", nil
	}
	scopes, limited := a.GetUser().GetExtra()[ExtraScopes]
	switch {
	case !limited:
		return authorizer.DecisionNoOpinion, "", nil
	case isCredentialRequest(a):
		return authorizer.DecisionDeny, "a personal access token is no way to further credentials", nil
	case discovery(a), slices.ContainsFunc(scopes, func(scope string) bool { return includes(scope, a) }):
		return authorizer.DecisionNoOpinion, "", nil
	}
	return authorizer.DecisionDeny, "the scopes of the personal access token do not include this", nil
}

// includes reports whether a scope includes a request. What is no scope
// includes nothing.
func includes(scope string, a authorizer.Attributes) bool {
	rules, err := ScopeRules(scope)
	return err == nil && slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return allows(&rule, a) && permitsRead(&rule, a) })
}

// ScopeRules are the rules a scope stands for: all, read, or
// {group}/{resource}[/{subresource}]:{verb},{verb}, where core is the group
// without a name and * is any.
func ScopeRules(scope string) ([]rbacv1.PolicyRule, error) {
	every := []string{rbacv1.ResourceAll}
	switch scope {
	case ScopeAll:
		return []rbacv1.PolicyRule{{Verbs: every, APIGroups: every, Resources: every}, {Verbs: every, NonResourceURLs: every}}, nil
	case ScopeRead:
		return []rbacv1.PolicyRule{
			{Verbs: []string{"get", "list", "watch"}, APIGroups: every, Resources: every},
			{Verbs: []string{"GET", "HEAD", "get", "head"}, NonResourceURLs: every},
		}, nil
	}
	what, verbs, found := strings.Cut(scope, ":")
	group, resource, named := strings.Cut(what, "/")
	list := strings.Split(verbs, ",")
	if !found || !named || len(scope) > 256 || !scopeName(group) || !resourceName(resource) || slices.ContainsFunc(list, func(verb string) bool { return !scopeName(verb) }) {
		return nil, fmt.Errorf("%q is no scope: one is all, read, or {group}/{resource}:{verb},{verb} such as core/pods:get,list", scope)
	}
	if group == "core" {
		group = ""
	}
	return []rbacv1.PolicyRule{{Verbs: list, APIGroups: []string{group}, Resources: []string{resource}}}, nil
}

func scopeName(name string) bool {
	return name == rbacv1.ResourceAll || len(validation.IsDNS1123Subdomain(name)) == 0
}

func resourceName(name string) bool {
	resource, sub, found := strings.Cut(name, "/")
	return scopeName(resource) && (!found || scopeName(sub))
}

// discovery is how clients find out what there is. It tells nothing of objects.
func discovery(a authorizer.Attributes) bool {
	if a.IsResourceRequest() || !slices.Contains([]string{"GET", "HEAD", "get", "head"}, a.GetVerb()) {
		return false
	}
	path := a.GetPath()
	for _, prefix := range []string{"/api", "/apis", "/openapi", "/version"} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return true
		}
	}
	return false
}
