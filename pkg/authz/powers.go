package authz

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// A power is a verb, a resource or a subresource that lets its holder exceed the role
// it is in: act as another identity, give rights, issue credentials, or write the
// objects that only components of the cluster write. A "*" does not include powers; a
// rule grants a power by its name. The exception is the holder of everything on the
// platform, see isEverything.

// VerbUnsafeDelete is the verb of a deletion that ignores errors of reading the
// object, which leaves its finalizers and preconditions out.
const VerbUnsafeDelete = "unsafe-delete-ignore-read-errors"

// Subresources of certificatesigningrequests that exist to be permitted: Kubernetes
// approves a request for the certificate of a node by itself when the requester may
// create them, for any node or for the node the requester is.
const (
	SubresourceNodeClient     = "nodeclient"
	SubresourceSelfNodeClient = "selfnodeclient"
)

// isPowerVerb reports whether a verb is a power. Kubernetes derives further
// ones with a colon, such as impersonate:user-info and arbitrary-node:update.
func isPowerVerb(verb string) bool {
	switch verb {
	case "impersonate", verbEscalate, verbBind, "approve", "sign", "attest", "use", VerbUnsafeDelete:
		return true
	}
	return strings.Contains(verb, ":")
}

// isPowerResource reports whether a request for a resource is one for a power,
// whatever its verb is a name of. The verb matters for parts that only components of
// the cluster write, which are powers to write and not to read.
func isPowerResource(verb, group, resource, subresource string) bool {
	switch subresource {
	case "":
		return group == "" && (resource == "bindings" || resource == "nodes" && verb == "proxy") || !isRead(verb) && isComponentObject(group, resource)
	case "finalize", "token", "ephemeralcontainers", "binding", "approval":
		return true
	case SubresourceNodeClient, SubresourceSelfNodeClient:
		return true
	case "proxy":
		return resource == "nodes"
	case "status":
		return !isRead(verb) && hasComponentStatus(group, resource)
	case "driver":
		return group == "resource.k8s.io"
	}
	return false
}

func isRead(verb string) bool { return verb == "get" || verb == "list" || verb == "watch" }

// withholds reports whether a rule that allows a request as Kubernetes decides does
// not permit it here, since the request is for a power the rule does not name.
func withholds(rule *rbacv1.PolicyRule, a authorizer.Attributes) bool {
	if !a.IsResourceRequest() {
		return false
	}
	verb, resource, subresource := a.GetVerb(), a.GetResource(), a.GetSubresource()
	return isPowerVerb(verb) && !slices.Contains(rule.Verbs, verb) ||
		isPowerResource(verb, a.GetAPIGroup(), resource, subresource) && !namesResource(rule, resource, subresource)
}

// namesResource reports whether a rule names a resource, or the subresource of
// all resources.
func namesResource(rule *rbacv1.PolicyRule, resource, subresource string) bool {
	if subresource == "" {
		return slices.Contains(rule.Resources, resource)
	}
	return slices.Contains(rule.Resources, resource+"/"+subresource) || slices.Contains(rule.Resources, "*/"+subresource)
}

// isEverything reports whether a rule is all verbs on all resources.
func isEverything(rule *rbacv1.PolicyRule) bool {
	return len(rule.ResourceNames) == 0 && slices.Contains(rule.Verbs, "*") && slices.Contains(rule.APIGroups, "*") && slices.Contains(rule.Resources, "*")
}

// administers reports whether a user is an administrator of the platform: the
// holder of a global role with everything.
func (c *compiled) administers(who user.Info) bool {
	for one := range c.accesses(who) {
		for _, g := range one.platform {
			rules := c.rules(g)
			for n := range rules {
				if isEverything(&rules[n]) {
					return true
				}
			}
		}
	}
	return false
}

// missingPowers returns the powers that rules name and held rules do not, each
// broken down to one verb on one resource; maxMissing of them at most.
func missingPowers(held, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var missing []rbacv1.PolicyRule
	for n := range rules {
		if !namesPower(&rules[n]) {
			continue
		}
		for element := range elementsOf(&rules[n]) {
			one := element.rule()
			if !namesPower(&one) || slices.ContainsFunc(held, func(rule rbacv1.PolicyRule) bool { return coversPower(&rule, &one) }) {
				continue
			}
			if missing = append(missing, one); len(missing) == maxMissing {
				return missing
			}
		}
	}
	return missing
}

// namesPower reports whether a rule names a power.
func namesPower(rule *rbacv1.PolicyRule) bool {
	if len(rule.Resources) == 0 {
		return false
	}
	return slices.ContainsFunc(rule.Verbs, isPowerVerb) || namesPowerResource(rule)
}

func namesPowerResource(rule *rbacv1.PolicyRule) bool {
	for _, combined := range rule.Resources {
		resource, subresource, _ := strings.Cut(combined, "/")
		if resource == rbacv1.ResourceAll && subresource == "proxy" { // that of nodes is among them
			return true
		}
		groups := rule.APIGroups
		if slices.Contains(groups, rbacv1.APIGroupAll) {
			groups = powerGroups
		}
		for _, group := range groups {
			if slices.ContainsFunc(rule.Verbs, func(verb string) bool {
				return isPowerResource(verb, group, resource, subresource) || isConnection(verb, group, resource, subresource)
			}) {
				return true
			}
		}
	}
	return false
}

// coversPower reports whether a held rule includes a power: one verb of one
// resource, by the name of the verb or the resource that makes it a power.
func coversPower(held, power *rbacv1.PolicyRule) bool {
	verb, group, combined := power.Verbs[0], power.APIGroups[0], power.Resources[0]
	resource, subresource, _ := strings.Cut(combined, "/")
	hasVerb := slices.Contains(held.Verbs, verb) || !isPowerVerb(verb) && slices.Contains(held.Verbs, "*")
	creates := isConnection(verb, group, resource, subresource) && matches(held.Verbs, "create") // see permitsRead
	hasResource := namesResource(held, resource, subresource) || (creates || !namesPowerResource(power)) && resourceMatches(held.Resources, resource, subresource)
	return hasVerb && hasResource && matches(held.APIGroups, group) &&
		(len(held.ResourceNames) == 0 || len(power.ResourceNames) > 0 && slices.Contains(held.ResourceNames, power.ResourceNames[0]))
}
