package authz

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

const (
	groupIAM       = "iam.kubesphere.io"
	groupTenant    = "tenant.kubesphere.io"
	groupResources = "resources.kubesphere.io"
	groupTerminal  = "terminal.kubesphere.io"
)

// Own permits what everybody may do who is logged in, whatever roles there are:
// care for the own account, ask what one may do, and list what the answer
// shows only as far as the caller may see it. Kubernetes' APIs are no way to
// the own account, with one exception: there a user object could be written as
// a whole.
type Own struct {
	// Filtered reports whether the cluster-wide list of a resource type shows
	// the caller's namespaces only. No list does when it is nil.
	Filtered func(ctx context.Context, resource string) bool
	// Rights says who may invite others somewhere, and so look them up.
	Rights *RBAC
	// Kubectl reports whether a pod is the one of a user to run kubectl in, with
	// the user's rights. No pod is when it is nil.
	Kubectl func(user, namespace, pod string) bool
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (o Own) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if who := a.GetUser(); IsAnonymous(who) || !slices.Contains(who.GetGroups(), user.AllAuthenticated) || !a.IsResourceRequest() {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if strings.HasPrefix(a.GetPath(), "/kapis/") && o.platform(ctx, a) || strings.HasPrefix(a.GetPath(), "/api/") && ownNamespaces(a) || ownPatch(a) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (o Own) platform(ctx context.Context, a authorizer.Attributes) bool {
	// A service account is no User object, and has nothing to care for here.
	person := !IsServiceAccount(a.GetUser())
	self, verb := person && a.GetName() != "" && a.GetName() == a.GetUser().GetName(), a.GetVerb()
	switch a.GetAPIGroup() {
	case groupIAM:
		switch a.GetResource() {
		case "users":
			return self && ownAccount(verb, a.GetSubresource()) || verb == "list" && a.GetName() == "" && o.invites(ctx, a.GetUser())
		case "clustermembers", "workspacemembers", "members":
			return self && verb == "get"
		case "accessreviews", "rulesreview":
			return verb == "create" && a.GetSubresource() == ""
		}
	case groupTenant:
		if a.GetResource() == "workspacemembers" {
			return self && verb == "get"
		}
		if a.GetResource() == "metering" {
			return verb == "get" && a.GetName() == "price" && a.GetSubresource() == ""
		}
		return verb == "list" && slices.Contains([]string{"workspaces", "workspacetemplates", "namespaces", "clusters", "devops"}, a.GetResource()) && o.belongs(ctx, a)
	case groupResources:
		if a.GetResource() == "users" {
			return self && verb == "get" && (a.GetSubresource() == "kubeconfig" || a.GetSubresource() == "kubectl")
		}
		// Where these may lead is up to who serves them.
		if person && a.GetNamespace() == "" && (a.GetResource() == "registry" && (verb == "get" || verb == "create") || a.GetResource() == "git" && verb == "create") {
			return true
		}
		return verb == "list" && a.GetNamespace() == "" && o.Filtered != nil && o.Filtered(ctx, a.GetResource())
	case groupTerminal:
		switch a.GetResource() {
		case "users":
			return self && verb == "get" && a.GetSubresource() == "kubectl"
		case "pods":
			return verb == "create" && a.GetSubresource() == "exec" && (o.runs(ctx, a) || o.Kubectl != nil && o.Kubectl(a.GetUser().GetName(), a.GetNamespace(), a.GetName()))
		}
	}
	return false
}

// runs reports whether somebody may run commands in a pod by Kubernetes' API, and
// so in a terminal: KubeSphere's roles for it do not name the group of terminals.
// The scopes of a personal access token name the request itself.
func (o Own) runs(ctx context.Context, a authorizer.Attributes) bool {
	if o.Rights == nil {
		return false
	}
	decision, _, err := o.Rights.Authorize(ctx, &Attributes{Scope: scopeOf(a), AttributesRecord: authorizer.AttributesRecord{
		User: TokenOwner(a.GetUser()), Verb: "create", APIVersion: "v1", Namespace: a.GetNamespace(), Resource: "pods", Subresource: "exec", Name: a.GetName(), ResourceRequest: true,
	}})
	return err == nil && decision == authorizer.DecisionAllow
}

// belongs reports whether a request is about no workspace or one of the caller's.
func (o Own) belongs(ctx context.Context, a authorizer.Attributes) bool {
	workspace := scopeOf(a).Workspace
	if workspace == "" {
		return true
	}
	if o.Rights == nil {
		return false
	}
	visible, err := o.Rights.VisibleWorkspaces(ctx, a.GetUser())
	return err == nil && visible.Has(workspace)
}

// invites reports whether somebody may make others members of some place.
func (o Own) invites(ctx context.Context, who user.Info) bool {
	return o.Rights != nil && slices.ContainsFunc([]string{"members", "workspacemembers", "clustermembers"}, func(members string) bool {
		found, err := o.Rights.Somewhere(ctx, who, Action{Verb: "create", Group: groupIAM, Resource: members})
		return err == nil && found
	})
}

// ownAccount is what users may do to themselves; which fields they may change
// is up to who serves it.
func ownAccount(verb, subresource string) bool {
	switch subresource {
	case "":
		return verb == "get" || verb == "update" || verb == "patch"
	case "password":
		return verb == "update"
	case "tokens":
		return verb == "get" || verb == "create" || verb == "delete"
	case "sessions":
		return verb == "get" || verb == "delete"
	case "groupbindings":
		return verb == "get" || verb == "delete"
	case "identities":
		return verb == "get" || verb == "create" || verb == "delete"
	}
	return verb == "get"
}

// ownPatch is the one way to the own account in Kubernetes' API, which consoles
// go when somebody logs in for the first time. It is served here, and only at
// exactly this path: any other would be forwarded.
func ownPatch(a authorizer.Attributes) bool {
	return a.GetVerb() == "patch" && a.GetPath() == "/apis/iam.kubesphere.io/v1alpha2/users/"+a.GetUser().GetName() &&
		a.GetResource() == "users" && a.GetSubresource() == ""
}

// ownNamespaces is the list of namespaces, or of one by its name, of which everybody
// sees the own.
func ownNamespaces(a authorizer.Attributes) bool {
	return (a.GetVerb() == "list" || a.GetVerb() == "watch") && a.GetAPIGroup() == "" && a.GetResource() == "namespaces" &&
		(a.GetNamespace() == "" || a.GetNamespace() == a.GetName()) && a.GetSubresource() == ""
}
