package kubeproxy

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// ObjectLimits bounds how many objects of a resource there are. *tenant.Limits does.
type ObjectLimits interface {
	Reserve(ctx context.Context, who user.Info, limit *tenant.Limit, owner string, further int) (release func(), err error)
	CheckRights(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error
}

// limitedObjects are the resources whose objects users of a project or workspace create
// here, by their limits and the owners these count for.
var limitedObjects = map[schema.GroupResource]struct {
	limit *tenant.Limit
	owner func(*unstructured.Unstructured) (string, error)
}{
	networkv1alpha1.Resource("namespacenetworkpolicies"): {tenant.PoliciesPerNamespace, namespaceOf},
	quotav1alpha2.Resource("resourcequotas"):             {tenant.QuotasPerWorkspace, quotaWorkspace},
	rbacv1.Resource("roles"):                             {tenant.RolesPerNamespace, namespaceOf},
	rbacv1.Resource("rolebindings"):                      {tenant.RoleBindingsPerNamespace, namespaceOf},
}

func namespaceOf(object *unstructured.Unstructured) (string, error) {
	return object.GetNamespace(), nil
}

// createsLimited reports whether a write may create an object of a limited resource.
// Kubernetes creates no custom resource by an update.
func createsLimited(info *request.Info) bool {
	_, limited := limitedObjects[schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}]
	return limited && info.Subresource == "" && info.Verb != "update"
}

// reserve makes room for a new object, which is created until release is called.
func (p *Proxy) reserve(ctx context.Context, who user.Info, info *request.Info, created *unstructured.Unstructured) (release func(), err error) {
	limited, found := limitedObjects[schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}]
	if !found || p.options.Limits == nil {
		return func() {}, nil
	}
	owner, err := limited.owner(created)
	if err != nil {
		return nil, err
	}
	return p.options.Limits.Reserve(ctx, who, limited.limit, owner, 1)
}
