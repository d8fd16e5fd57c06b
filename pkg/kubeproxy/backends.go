package kubeproxy

import (
	"context"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

const reasonBackend = "to choose where a part of the platform's API is served: an APIService or a ReverseProxy names the Service"

// backendTypes are the types whose objects say where the requests to a Service go.
var backendTypes = map[schema.GroupResource]bool{
	{Resource: "services"}:  true,
	{Resource: "endpoints"}: true,
	{Group: discoveryv1.GroupName, Resource: "endpointslices"}: true,
}

// isBackend reports whether a part of the platform's API is served by a Service, or with
// an empty name by one of a namespace.
func (p *Proxy) isBackend(namespace, name string) bool {
	return p.options.Backend != nil && p.options.Backend(namespace, name)
}

// guards reports whether a write is forwarded as guard returns it.
func (p *Proxy) guards(info *request.Info) bool {
	if guards(info) {
		return true
	}
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	switch info.Verb {
	case "create", "update", "patch":
		return backendTypes[resource] && info.Subresource == "" && p.isBackend(info.Namespace, "")
	}
	return false
}

// authorizeBackend returns nil when a request writes no Service that serves a part of the
// platform's API, by the name in the path, or the user administers the platform. What is
// created is looked into by permitBackend.
func (p *Proxy) authorizeBackend(ctx context.Context, who user.Info, info *request.Info) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	switch info.Verb {
	case "update", "patch", "delete", "deletecollection":
	default:
		return nil
	}
	// Slices have names of their own, and are made again when they are deleted.
	if !backendTypes[resource] || resource.Group != "" || info.Subresource == "proxy" || !p.isBackend(info.Namespace, info.Name) {
		return nil
	}
	return p.requireAdministrator(ctx, who, resource, info.Name, reasonBackend)
}

// permitBackend returns nil when neither state of an object is one of a Service that
// serves a part of the platform's API, or the user administers the platform.
func (p *Proxy) permitBackend(ctx context.Context, who user.Info, resource schema.GroupResource, states ...*unstructured.Unstructured) error {
	if !backendTypes[resource] {
		return nil
	}
	for _, state := range states {
		if state == nil {
			continue
		}
		service := state.GetName()
		if resource.Group != "" {
			service = state.GetLabels()[discoveryv1.LabelServiceName]
		}
		if service != "" && p.isBackend(state.GetNamespace(), service) {
			return p.requireAdministrator(ctx, who, resource, state.GetName(), reasonBackend)
		}
	}
	return nil
}
