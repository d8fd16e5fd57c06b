package authz

import (
	"context"
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// IsLimited reports whether a user's credential is a personal access token.
func IsLimited(who user.Info) bool {
	if who == nil {
		return false
	}
	_, limited := who.GetExtra()[ExtraScopes]
	return limited
}

// TokenOwner returns a user with the rights of the owner of the personal access token
// that a request came with. It is for decisions that give no right.
func TokenOwner(who user.Info) user.Info {
	if !IsLimited(who) {
		return who
	}
	owner := user.DefaultInfo{Name: who.GetName(), UID: who.GetUID(), Groups: who.GetGroups(), Extra: maps.Clone(who.GetExtra())}
	delete(owner.Extra, ExtraScopes)
	if impersonated, ok := who.(*kube.Another); ok {
		return &kube.Another{DefaultInfo: owner, By: impersonated.By}
	}
	return &owner
}

// credentialType is a resource with requests that read or create credentials.
type credentialType struct {
	group, resource string
	// subresource is * for the resource and all its subresources.
	subresource string
	// verbs are those of such requests; all that change something without any.
	verbs []string
	// inCluster says that a role of the cluster permits such requests.
	inCluster bool
}

// credentialTypes are the resources with credentials. The contents of Secrets are
// checked where they are written.
var credentialTypes = []credentialType{
	{group: groupIAM, resource: "users", verbs: []string{"create"}}, // with a password
	{group: groupIAM, resource: "users", subresource: "password"},
	{group: groupIAM, resource: "users", subresource: "tokens"},
	{group: groupIAM, resource: "users", subresource: "sessions"},
	{group: groupIAM, resource: "users", subresource: "identities"},
	{group: groupIAM, resource: "personalaccesstokens", subresource: rbacv1.ResourceAll},
	{group: groupIAM, resource: "sessions", subresource: rbacv1.ResourceAll},
	{group: groupIAM, resource: "deviceauthorizations", subresource: rbacv1.ResourceAll},
	{group: groupIAM, resource: "consents", subresource: rbacv1.ResourceAll},
	{group: "", resource: "serviceaccounts", subresource: "token", verbs: []string{rbacv1.VerbAll}, inCluster: true},
	{group: groupCertificates, resource: rbacv1.ResourceAll, subresource: rbacv1.ResourceAll, inCluster: true},
	{group: groupResources, resource: "users", subresource: "kubeconfig", verbs: []string{rbacv1.VerbAll}},
	{group: groupResources, resource: "users", subresource: "kubectl", verbs: []string{rbacv1.VerbAll}},
	{group: groupTerminal, resource: "users", subresource: "kubeconfig", verbs: []string{rbacv1.VerbAll}},
	{group: groupTerminal, resource: "users", subresource: "kubectl", verbs: []string{rbacv1.VerbAll}},
}

func (c *credentialType) hasVerb(verb string) bool {
	if len(c.verbs) == 0 {
		return !isRead(verb)
	}
	return verb == rbacv1.VerbAll || matches(c.verbs, verb)
}

// requestedBy reports whether a request reads or creates credentials of the type.
func (c *credentialType) requestedBy(a authorizer.Attributes) bool {
	return a.GetAPIGroup() == c.group && (c.resource == rbacv1.ResourceAll || a.GetResource() == c.resource) &&
		(c.subresource == rbacv1.ResourceAll || a.GetSubresource() == c.subresource) && c.hasVerb(a.GetVerb())
}

// grantedBy reports whether a rule permits requests for credentials of the type.
func (c *credentialType) grantedBy(rule *rbacv1.PolicyRule) bool {
	if !matches(rule.APIGroups, c.group) || !slices.ContainsFunc(rule.Verbs, c.hasVerb) {
		return false
	}
	if c.resource == rbacv1.ResourceAll {
		return len(rule.Resources) > 0
	}
	return resourceMatches(rule.Resources, c.resource, "") && (c.subresource == "" || c.subresource == rbacv1.ResourceAll) ||
		c.subresource != "" && resourceMatches(rule.Resources, c.resource, c.subresource)
}

// isCredentialRequest reports whether a request reads or creates credentials.
func isCredentialRequest(a authorizer.Attributes) bool {
	return a.IsResourceRequest() && slices.ContainsFunc(credentialTypes, func(c credentialType) bool { return c.requestedBy(a) })
}

// grantedCredentials returns the rules that permit requests for credentials in a scope.
func grantedCredentials(scope Scope, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	if scope.Namespace != "" || scope.Workspace != "" {
		return nil
	}
	var granted []rbacv1.PolicyRule
	for n := range rules {
		if slices.ContainsFunc(credentialTypes, func(c credentialType) bool {
			return (scope == (Scope{}) || c.inCluster) && c.grantedBy(&rules[n])
		}) {
			granted = append(granted, rules[n])
		}
	}
	return granted
}

// scopedRules are the rules of the scopes of the personal access token that a request
// came with.
func scopedRules(who user.Info) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, scope := range who.GetExtra()[ExtraScopes] {
		if one, err := ScopeRules(scope); err == nil {
			rules = append(rules, one...)
		}
	}
	return rules
}

// missingInScopes returns which rules the scopes of a personal access token do not
// include; nil for users with other credentials. All rights on the platform include
// credentials, which no scope does.
func missingInScopes(who user.Info, scope Scope, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	if !IsLimited(who) {
		return nil
	}
	scoped := scopedRules(who)
	if missing := missingElements(scoped, rules); len(missing) > 0 {
		return missing
	}
	if missing := missingPowers(scoped, rules); len(missing) > 0 {
		return missing
	}
	if scope == (Scope{}) {
		return grantedCredentials(scope, rules)
	}
	return nil
}

// MissingToGrant returns which of the rules a user may not give to others in a scope:
// those the user does not hold there, and for a personal access token those that permit
// requests for credentials, which the token itself is refused.
func MissingToGrant(ctx context.Context, rights Coverer, who user.Info, scope Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	missing, err := rights.Covers(ctx, who, scope, rules)
	if err != nil || len(missing) > 0 || !IsLimited(who) {
		return missing, err
	}
	return grantedCredentials(scope, rules), nil
}

// bindingResources are the resources of the bindings of roles of a kind.
var bindingResources = map[string]schema.GroupResource{
	kindGlobalRole:    {Group: groupIAM, Resource: "globalrolebindings"},
	kindWorkspaceRole: {Group: groupIAM, Resource: "workspacerolebindings"},
	kindClusterRole:   {Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
	kindRole:          {Group: rbacv1.GroupName, Resource: "rolebindings"},
}

// CheckBindingScope returns a forbidden error when a request came with a personal
// access token whose scopes do not include writes of the bindings by which a role is
// given in a scope. Roles are given by fields of users and by members as well.
func CheckBindingScope(who user.Info, scope Scope, kind, role string) error {
	if !IsLimited(who) {
		return nil
	}
	if scope.Namespace != "" {
		kind = kindRole
	}
	resource := bindingResources[kind]
	for _, rule := range scopedRules(who) {
		if matches(rule.APIGroups, resource.Group) && resourceMatches(rule.Resources, resource.Resource, "") &&
			slices.ContainsFunc([]string{"create", "update", "patch"}, func(verb string) bool { return matches(rule.Verbs, verb) }) {
			return nil
		}
	}
	return status.Forbidden(roleResources[kind], role, "the scopes of the personal access token do not include writing %s", resource)
}
