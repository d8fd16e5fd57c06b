package isolation

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// CheckIsolate returns a forbidden error about an object, of a resource and with a
// name, unless a user may turn the isolation of a namespace on and off.
func CheckIsolate(ctx context.Context, rights authz.Coverer, who user.Info, namespace string, resource schema.GroupResource, name string) error {
	missing, err := rights.Covers(ctx, who, authz.Scope{Namespace: namespace}, []rbacv1.PolicyRule{right()})
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(resource, name, "user %q cannot update namespacenetworkpolicies.%s in namespace %q, which decides about its network isolation",
		who.GetName(), networkv1alpha1.GroupName, namespace)
}

// right is the right to turn the isolation of a namespace on and off, in the
// namespace: that to write its exceptions.
func right() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"update"}, APIGroups: []string{networkv1alpha1.GroupName}, Resources: []string{"namespacenetworkpolicies"}}
}
