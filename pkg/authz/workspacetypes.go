package authz

import (
	"context"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// workspaceTypes are the cluster-scoped resource types each of whose objects
// belongs to one workspace and has effects in that workspace only.
var workspaceTypes = map[schema.GroupResource]bool{
	{Group: "quota.kubesphere.io", Resource: "resourcequotas"}: true,
}

// OfWorkspace reports whether the objects of a cluster-scoped type belong to
// workspaces, so that the right to write them can be held in one.
func OfWorkspace(group, resource string) bool {
	return workspaceTypes[schema.GroupResource{Group: group, Resource: resource}]
}

// ClusterTypes authorizes requests below /kapis/{group}/{version}/workspaces/{workspace}
// for types that do not belong to workspaces as what they are: requests for the whole
// cluster, or for the platform. A label names the workspace there, which does not limit what an object does.
type ClusterTypes struct {
	// Served are the API groups this server has operations for, which say
	// themselves what belongs to a workspace.
	Served sets.Set[string]
	// Delegated reports whether a service behind this server serves a path; nil
	// when there is none.
	Delegated func(path string) bool
	// Next decides.
	Next authorizer.UnconditionalAuthorizer
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (c ClusterTypes) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	scope := scopeOf(a)
	if scope.Workspace == "" || scope.Namespace != "" || !strings.HasPrefix(a.GetPath(), "/kapis/") || c.Served.Has(a.GetAPIGroup()) ||
		OfWorkspace(a.GetAPIGroup(), a.GetResource()) || c.Delegated != nil && c.Delegated(a.GetPath()) {
		return c.Next.Authorize(ctx, a)
	}
	where := Scope{Cluster: ThisCluster}
	if request.OfPlatform(a.GetAPIGroup(), a.GetResource()) {
		where = Scope{} // roles of one cluster do not reach what all of them share
	}
	return c.Next.Authorize(ctx, &Attributes{Scope: where, AttributesRecord: authorizer.AttributesRecord{
		User: a.GetUser(), Verb: a.GetVerb(), Namespace: a.GetNamespace(), APIGroup: a.GetAPIGroup(), APIVersion: a.GetAPIVersion(),
		Resource: a.GetResource(), Subresource: a.GetSubresource(), Name: a.GetName(), ResourceRequest: a.IsResourceRequest(), Path: a.GetPath(),
	}})
}
