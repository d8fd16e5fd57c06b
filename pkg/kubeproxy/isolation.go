package kubeproxy

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// IsolationReader returns the network isolation that applies to a namespace.
type IsolationReader func(ctx context.Context, namespace string) (isolation.State, error)

// networkPolicies are the resources whose objects decide which traffic the pods
// of a namespace accept. They add up: one policy opens what another closes. Those
// of network plug-ins are not understood here.
var networkPolicies = map[schema.GroupResource]bool{
	{Group: networkingv1.GroupName, Resource: "networkpolicies"}:  true,
	{Group: "crd.projectcalico.org", Resource: "networkpolicies"}: true,
	{Group: "projectcalico.org", Resource: "networkpolicies"}:     true,
	{Group: "cilium.io", Resource: "ciliumnetworkpolicies"}:       true,
	networkv1alpha1.Resource("namespacenetworkpolicies"):          true,
}

// isolationPolicies is the resource of the NetworkPolicies that isolate namespaces.
var isolationPolicies = networkingv1.Resource("networkpolicies")

// permitPolicyDeletion returns nil when a user may delete a NetworkPolicy: one that
// isolates its namespace takes the right to turn that isolation off.
func (p *Proxy) permitPolicyDeletion(ctx context.Context, who user.Info, policy *unstructured.Unstructured) error {
	if p.options.Isolation == nil || !isolation.IsReserved(policy.GetName()) {
		return nil
	}
	state, err := p.options.Isolation(ctx, policy.GetNamespace())
	if err != nil || !state.Isolated() {
		return err
	}
	return p.mayExceed(ctx, who, state, isolationPolicies, policy.GetName())
}

// permitNetworkPolicy refuses a policy that accepts traffic the isolation of the
// namespace keeps out, unless the caller may turn that isolation off.
func (p *Proxy) permitNetworkPolicy(ctx context.Context, who user.Info, info *request.Info, before, after *unstructured.Unstructured) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	if p.options.Isolation == nil || before != nil && unchanged(before, after, "spec") && unchanged(before, after, "metadata", "labels") {
		return nil
	}
	state, err := p.options.Isolation(ctx, info.Namespace)
	if err != nil {
		return err
	}
	if resource.Group == networkingv1.GroupName && isolation.IsReserved(after.GetName()) {
		// Also where nothing is isolated yet: isolation would find the name taken.
		state.WorkspaceWide, state.Project = state.Workspace != "", true
		return p.mayExceed(ctx, who, state, resource, after.GetName())
	}
	if !state.Isolated() {
		return nil
	}
	if resource.Group != networkingv1.GroupName {
		return p.mayExceed(ctx, who, state, resource, after.GetName())
	}
	policy := &networkingv1.NetworkPolicy{}
	if err := convert(after.Object, policy); err != nil {
		return err
	}
	wide, project := state, state
	wide.Project, project.WorkspaceWide = false, false
	wide.WorkspaceWide = wide.Exceeds(&policy.Spec)
	project.Project = project.Exceeds(&policy.Spec)
	return p.mayExceed(ctx, who, isolation.State{
		Namespace: state.Namespace, Workspace: state.Workspace, WorkspaceWide: wide.WorkspaceWide, Project: project.Project,
	}, resource, after.GetName())
}

// permitIsolationException refuses a NamespaceNetworkPolicy that names services which the
// caller may not get: the NetworkPolicy made of it shows which pods they select.
func (p *Proxy) permitIsolationException(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error {
	if before != nil && unchanged(before, after, "spec") {
		return nil
	}
	policy := &networkv1alpha1.NamespaceNetworkPolicy{}
	if err := convert(after.Object, policy); err != nil {
		return err
	}
	var present *networkv1alpha1.NamespaceNetworkPolicy
	if before != nil {
		present = &networkv1alpha1.NamespaceNetworkPolicy{}
		if err := convert(before.Object, present); err != nil {
			return err
		}
	}
	return isolation.CheckServices(ctx, p.rights, who, present, policy)
}

// mayExceed returns nil when the caller may turn off the isolation there is: that
// of a workspace takes the right to change the workspace, that of a namespace the
// right to change its NamespaceNetworkPolicies.
func (p *Proxy) mayExceed(ctx context.Context, who user.Info, state isolation.State, resource schema.GroupResource, name string) error {
	if state.WorkspaceWide {
		held, err := p.holds(ctx, who, authz.Scope{Workspace: state.Workspace}, rbacv1.PolicyRule{
			Verbs: []string{"update"}, APIGroups: []string{groupTenant}, Resources: []string{"workspacetemplates"}, ResourceNames: []string{state.Workspace},
		})
		if err != nil {
			return err
		}
		if !held {
			return status.Forbidden(resource, name, "workspace %q is isolated, and user %q cannot update it: a policy may accept traffic of namespaces with the label %s=%s only",
				state.Workspace, who.GetName(), workspace, state.Workspace)
		}
	}
	if !state.Project {
		return nil
	}
	return isolation.CheckIsolate(ctx, p.rights, who, state.Namespace, resource, name)
}

func (p *Proxy) holds(ctx context.Context, who user.Info, scope authz.Scope, rule rbacv1.PolicyRule) (bool, error) {
	missing, err := p.rights.Covers(ctx, who, scope, []rbacv1.PolicyRule{rule})
	return err == nil && len(missing) == 0, err
}

// isolationChanges reports whether a write of a namespace changes its isolation.
// A new namespace has no isolation yet.
func isolationChanges(before, after *unstructured.Unstructured) bool {
	return before != nil && before.GetAnnotations()[networkv1alpha1.AnnotationNetworkIsolation] != after.GetAnnotations()[networkv1alpha1.AnnotationNetworkIsolation]
}
