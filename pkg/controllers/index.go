package controllers

import (
	"context"
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Names of indexes.
const (
	// byUser is the index of objects by the users they are about.
	byUser = "user"
	// byWorkspace is the index of quotas by the workspaces they limit.
	byWorkspace = "workspace"
	// byService is the index of NamespaceNetworkPolicies by the services they name.
	byService = "service"
	// byPurpose is the index of the NetworkPolicies made here by what they are made for.
	byPurpose = "purpose"
)

// purposeIsolation is the purpose of policies that isolate their namespace.
const purposeIsolation = "isolation"

// index makes lists by user and by service cheap: without it each would copy all
// objects. The policies are indexed where they are watched.
func index(ctx context.Context, indexer client.FieldIndexer, policies bool) error {
	type field struct {
		object client.Object
		name   string
		values client.IndexerFunc
	}
	fields := []field{
		{&iamv1alpha2.GlobalRoleBinding{}, byUser, boundUsers},
		{&iamv1alpha2.GroupBinding{}, byUser, boundUsers},
		{&iamv1alpha2.LoginRecord{}, byUser, boundUsers},
		{&quotav1alpha2.ResourceQuota{}, byWorkspace, limitedWorkspaces},
	}
	if policies {
		fields = append(fields, field{&networkv1alpha1.NamespaceNetworkPolicy{}, byService, policyServices}, field{&networkingv1.NetworkPolicy{}, byPurpose, policyPurpose})
	}
	for _, field := range fields {
		if err := indexer.IndexField(ctx, field.object, field.name, field.values); err != nil {
			return fmt.Errorf("indexing %T by %s: %w", field.object, field.name, err)
		}
	}
	return nil
}

// limitedWorkspaces is the workspace a quota limits.
func limitedWorkspaces(object client.Object) []string {
	quota, ok := object.(*quotav1alpha2.ResourceQuota)
	if !ok {
		return nil
	}
	if workspace := tenant.QuotaWorkspace(quota); workspace != "" {
		return []string{workspace}
	}
	return nil
}

// policyServices are the services a NamespaceNetworkPolicy names, as NAMESPACE/NAME, and
// the namespaces of these, as NAMESPACE/.
func policyServices(object client.Object) []string {
	policy, ok := object.(*networkv1alpha1.NamespaceNetworkPolicy)
	if !ok {
		return nil
	}
	var keys []string
	for _, service := range isolation.ServicesOf(policy) {
		keys = append(keys, service.String(), service.Namespace+"/")
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// policyPurpose is what a NetworkPolicy was made for here.
func policyPurpose(object client.Object) []string {
	if policy, ok := object.(*networkingv1.NetworkPolicy); ok && isolation.Isolates(policy.Name) && owns(policy) {
		return []string{purposeIsolation}
	}
	return nil
}

// boundUsers are the names of the users an object is about.
func boundUsers(object client.Object) []string {
	switch o := object.(type) {
	case *iamv1alpha2.GlobalRoleBinding:
		return userNames(o.Subjects)
	case *iamv1alpha2.GroupBinding:
		return o.Users
	}
	if name := object.GetLabels()[iamv1alpha2.LabelUserReference]; name != "" {
		return []string{name}
	}
	return nil
}

func userNames(subjects []rbacv1.Subject) []string {
	var names []string
	for _, subject := range subjects {
		if subject.Kind == rbacv1.UserKind {
			names = append(names, subject.Name)
		}
	}
	return names
}

// named asks for a reconciliation of each of the names.
func named(names ...string) []reconcile.Request {
	requests := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		if name != "" {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		}
	}
	return requests
}

// enqueue asks for the reconciliation of what an object is about, also of what
// it was about before a change.
func enqueue(names func(object client.Object) []string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
		return named(names(object)...)
	})
}

// label returns what an object is about by a label.
func label(key string) func(object client.Object) []string {
	return func(object client.Object) []string { return []string{object.GetLabels()[key]} }
}
