package kubeproxy

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// countsOfServer are the object counts of quotas for the types whose objects this
// server writes into projects: roles and bindings of members, the NetworkPolicies of
// isolation, and the share of the workspace's quota. A quota of few of them keeps
// it from enforcing these.
var countsOfServer = []string{
	"resourcequotas", "count/resourcequotas", "count/networkpolicies.networking.k8s.io",
	"count/roles.rbac.authorization.k8s.io", "count/rolebindings.rbac.authorization.k8s.io",
}

// permitWithinProject refuses objects of a project whose content has an effect
// outside of it or on the limits the server enforces in it, unless the caller has all
// rights in the cluster. A namespace is not created while objects of an earlier one of
// its name exist, whose members would have their roles in the new one, or bindings
// elsewhere, which service accounts of the new one would have.
func (p *Proxy) permitWithinProject(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	reason := ""
	switch resource {
	case schema.GroupResource{Resource: "namespaces"}:
		if before == nil && p.options.CheckNewNamespace != nil {
			return p.options.CheckNewNamespace(ctx, who, after.GetName())
		}
	case tenant.Gateways:
		return tenant.CheckGateway(ctx, p.rights, who, after.GetNamespace(), before, after)
	case schema.GroupResource{Resource: "resourcequotas"}:
		for _, count := range countsOfServer {
			if _, limited, _ := unstructured.NestedFieldNoCopy(after.Object, "spec", "hard", count); limited && !unchanged(before, after, "spec", "hard", count) {
				reason = "spec.hard[" + count + "] limits objects that the platform keeps in the project"
				break
			}
		}
	}
	if reason == "" {
		return nil
	}
	held, err := authz.HoldsAll(ctx, p.rights, who, authz.Scope{Cluster: authz.ThisCluster})
	if err != nil || held {
		return err
	}
	return status.Forbidden(resource, after.GetName(), "%s, which takes all rights in the cluster", reason)
}
