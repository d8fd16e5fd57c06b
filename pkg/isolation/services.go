package isolation

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Services returns a service, or nil when there is none.
type Services func(namespace, name string) (*corev1.Service, error)

// ReadServices returns the services that the policies of a namespace may name: its own and
// those of its workspace. The NetworkPolicy made of a policy shows the selectors of its
// services, and its status which of them exist, to everybody who writes policies there, also
// past this server: a service of another workspace is as one that does not exist. A namespace
// of no workspace has its own services only.
func (s State) ReadServices(ctx context.Context, reader client.Reader) Services {
	readable := map[string]bool{s.Namespace: true}
	return func(namespace, name string) (*corev1.Service, error) {
		isReadable, known := readable[namespace]
		if !known {
			found := &corev1.Namespace{}
			if err := reader.Get(ctx, client.ObjectKey{Name: namespace}, found); client.IgnoreNotFound(err) != nil {
				return nil, err
			}
			isReadable = s.Workspace != "" && found.Labels[iamv1alpha2.LabelWorkspace] == s.Workspace
			readable[namespace] = isReadable
		}
		if !isReadable {
			return nil, nil
		}
		service := &corev1.Service{}
		err := reader.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, service)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return service, err
	}
}

// ServicesOf are the services a policy names.
func ServicesOf(policy *networkv1alpha1.NamespaceNetworkPolicy) []types.NamespacedName {
	var services []types.NamespacedName
	add := func(peers []networkv1alpha1.NetworkPolicyPeer) {
		for n := range peers {
			if s := peers[n].ServiceSelector; s != nil {
				services = append(services, types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
			}
		}
	}
	for n := range policy.Spec.Ingress {
		add(policy.Spec.Ingress[n].From)
	}
	for n := range policy.Spec.Egress {
		add(policy.Spec.Egress[n].To)
	}
	return services
}

// CheckServices returns a forbidden error when a user may not get a service of another
// namespace that a policy names and that it did not name before, whether the service exists
// or not. before is nil for a new policy.
func CheckServices(ctx context.Context, rights authz.Coverer, who user.Info, before, after *networkv1alpha1.NamespaceNetworkPolicy) error {
	known := make(map[types.NamespacedName]bool)
	if before != nil {
		for _, service := range ServicesOf(before) {
			known[service] = true
		}
	}
	names := make(map[string][]string) // by namespace, so that each is looked at once
	for _, service := range ServicesOf(after) {
		if service.Namespace != after.Namespace && !known[service] {
			known[service] = true
			names[service.Namespace] = append(names[service.Namespace], service.Name)
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(names)) {
		missing, err := rights.Covers(ctx, who, authz.Scope{Namespace: namespace}, []rbacv1.PolicyRule{{
			Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"services"}, ResourceNames: names[namespace],
		}})
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return status.Forbidden(policyResource, after.Name, "user %q cannot get all services of namespace %q that it names, whose pods it would show", who.GetName(), namespace)
		}
	}
	return nil
}

var policyResource = networkv1alpha1.Resource("namespacenetworkpolicies")
