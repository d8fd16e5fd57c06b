package authz

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// ThisCluster is the name of the cluster the server runs in.
const ThisCluster = "host"

// Scope is where a rule applies or a request takes place: at most what applies.
// The zero value is the platform, where global roles count and nothing else.
type Scope struct {
	Workspace string
	// Namespace decides by the workspace it belongs to, whatever Workspace is.
	Namespace string
	// Cluster is ThisCluster for what belongs to the cluster as a whole.
	Cluster string
}

// Attributes describe a request with the scope it takes place in. Attributes
// of any other type take place in their namespace or else in the cluster.
type Attributes struct {
	authorizer.AttributesRecord
	Scope Scope
}

// ScopeOf is the scope of a request. Paths that name no resource belong to the
// cluster, so that the discovery roles of Kubernetes apply.
func ScopeOf(info *request.Info) Scope {
	switch info.Scope {
	case request.ScopeGlobal:
		return Scope{}
	case request.ScopeNamespace:
		return Scope{Namespace: info.Namespace}
	case request.ScopeWorkspace:
		return Scope{Workspace: info.Workspace}
	}
	return Scope{Cluster: ThisCluster}
}

// AttributesOf are those of a request by its description, without the caller.
func AttributesOf(info *request.Info) *Attributes {
	return &Attributes{Scope: ScopeOf(info), AttributesRecord: authorizer.AttributesRecord{
		Verb: info.Verb, Namespace: info.Namespace, APIGroup: info.APIGroup, APIVersion: info.APIVersion,
		Resource: info.Resource, Subresource: info.Subresource, Name: info.Name,
		ResourceRequest: info.IsResourceRequest, Path: info.Path,
	}}
}

// AuthorizeRequest decides about a request by its description. A path that can be
// read in two ways is permitted if both are. The attributes are those that decided.
func AuthorizeRequest(ctx context.Context, by authorizer.UnconditionalAuthorizer, info *request.Info, who user.Info) (*Attributes, authorizer.Decision, string, error) {
	readings := info.Readings
	if len(readings) == 0 {
		readings = []*request.Info{info}
	}
	var attributes *Attributes
	for _, reading := range readings {
		attributes = AttributesOf(reading)
		attributes.User = who
		if decision, reason, err := by.Authorize(ctx, attributes); err != nil || decision != authorizer.DecisionAllow {
			return attributes, decision, reason, err
		}
	}
	return attributes, authorizer.DecisionAllow, "", nil
}

func scopeOf(a authorizer.Attributes) Scope {
	switch scoped := a.(type) {
	case *Attributes:
		return scoped.Scope
	case Attributes:
		return scoped.Scope
	}
	if namespace := a.GetNamespace(); namespace != "" {
		return Scope{Namespace: namespace}
	}
	return Scope{Cluster: ThisCluster}
}
