package kubeproxy

import (
	"context"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// componentFields are the fields of objects with the effect of their status, which only
// components of the cluster write, or which Kubernetes takes beside the subresource.
var componentFields = map[schema.GroupResource][][]string{
	// A node is created with a status: kube-apiserver connects to its addresses. Cloud
	// providers route the addresses of its pods and act on the machine it names.
	{Resource: "nodes"}: {{"status"}, {"spec", "podCIDR"}, {"spec", "podCIDRs"}, {"spec", "providerID"}, {"spec", "externalID"}},
	// Nodes redirect the traffic to these addresses, whichever they are (CVE-2020-8554).
	{Resource: "services"}: {{"spec", "externalIPs"}},
	// Kubernetes before 1.36 keeps the status that an object is written with.
	{Group: "networking.k8s.io", Resource: "servicecidrs"}: {{"status"}},
}

// writesComponentFields reports whether a request writes objects with such fields as a
// whole.
func writesComponentFields(info *request.Info, resource schema.GroupResource) bool {
	return info.Subresource == "" && componentFields[resource] != nil
}

// permitComponentFields returns nil when a user may write the fields of an object that
// differ from before and have the effect of its status: a holder of the power to write
// that. Addresses of services are set with all rights in the cluster as well.
func (p *Proxy) permitComponentFields(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	for _, path := range componentFields[resource] {
		if !setsField(before, after, path) {
			continue
		}
		scope := authz.Scope{Namespace: after.GetNamespace()}
		if scope.Namespace == "" {
			scope.Cluster = authz.ThisCluster
		}
		held, err := p.hasPower(ctx, who, scope, resource, "update", "status", after.GetName())
		if err == nil && !held && resource.Resource == "services" {
			held, err = authz.HoldsAll(ctx, p.rights, who, authz.Scope{Cluster: authz.ThisCluster})
		}
		if err != nil {
			return err
		}
		if !held {
			return status.Forbidden(resource, after.GetName(), "user %q cannot update %s/status, which writing %s takes", who.GetName(), resource.Resource, fieldName(path))
		}
	}
	return nil
}

func fieldName(path []string) string {
	name := path[0]
	for _, one := range path[1:] {
		name += "." + one
	}
	return name
}

// setsField reports whether a write changes a field, other than to no value, or adds
// elements to a list.
func setsField(before, after *unstructured.Unstructured, path []string) bool {
	is, _, _ := unstructured.NestedFieldNoCopy(after.Object, path...)
	if isEmpty(is) {
		return false
	}
	if before == nil {
		return true
	}
	was, _, _ := unstructured.NestedFieldNoCopy(before.Object, path...)
	present, _ := was.([]any)
	if wanted, isList := is.([]any); isList {
		return slices.ContainsFunc(wanted, func(one any) bool {
			return !slices.ContainsFunc(present, func(other any) bool { return reflect.DeepEqual(one, other) })
		})
	}
	return !reflect.DeepEqual(was, is)
}

// isEmpty reports whether a value of JSON says nothing: Kubernetes returns fields that
// are required with the values they have by default.
func isEmpty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case bool:
		return !value
	case float64:
		return value == 0
	case int64:
		return value == 0
	case []any:
		return len(value) == 0
	case map[string]any:
		for _, field := range value {
			if !isEmpty(field) {
				return false
			}
		}
		return true
	}
	return false
}
