package kubeproxy

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// permitLifetime returns nil when a user may change the owners and finalizers of an
// object: Kubernetes' garbage collector deletes an object whose owner does not
// exist, and finalizers hold a deletion up. Either change takes the rights that
// the deletion of the object takes; for some objects it is reserved besides.
func (p *Proxy) permitLifetime(ctx context.Context, who user.Info, info *request.Info, before, after *unstructured.Unstructured) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if before == nil || !guarded[resource] && !interceptors[resource] && !networkPolicies[resource] ||
		unchanged(before, after, "metadata", "ownerReferences") && unchanged(before, after, "metadata", "finalizers") {
		return nil
	}
	held, err := p.holds(ctx, who, authz.ScopeOf(info), rbacv1.PolicyRule{
		Verbs: []string{"delete"}, APIGroups: []string{info.APIGroup}, Resources: []string{info.Resource}, ResourceNames: []string{before.GetName()},
	})
	if err != nil {
		return err
	}
	if !held {
		return status.Forbidden(resource, before.GetName(), "user %q cannot delete it, which a change of its ownerReferences or finalizers takes", who.GetName())
	}
	deletion := *info
	deletion.Verb, deletion.Name, deletion.Subresource = "delete", before.GetName(), ""
	if !guardsDeletion(&deletion) {
		return nil
	}
	if resource.Group == groupTenant {
		return checkWorkspaceDeletion(&deletion, resource)
	}
	return p.permitDeletion(ctx, who, resource, before)
}
