package authz

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// isConnection reports whether a read goes through a pod or a service: it reaches the
// application behind it with all effects a request to the application has, whatever its
// method, and by an upgrade with any others.
func isConnection(verb, group, resource, subresource string) bool {
	return isRead(verb) && group == "" && subresource == "proxy" && (resource == "pods" || resource == "services")
}

// permitsRead reports whether a rule that allows a read as Kubernetes decides permits it
// here. A read through a pod or a service takes a rule that names the subresource with
// its verb, or one that permits to create it: a user who may read everything runs nothing.
func permitsRead(rule *rbacv1.PolicyRule, a authorizer.Attributes) bool {
	if !isConnection(a.GetVerb(), a.GetAPIGroup(), a.GetResource(), a.GetSubresource()) || matches(rule.Verbs, "create") {
		return true
	}
	return slices.Contains(rule.Verbs, a.GetVerb()) && namesResource(rule, a.GetResource(), a.GetSubresource())
}
