package isolation

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

// State is the isolation that applies to a namespace.
type State struct {
	Namespace string
	// Workspace is the workspace of the namespace; empty without one.
	Workspace string
	// Project is whether the namespace itself is isolated: its pods accept
	// traffic of this namespace only.
	Project bool
	// WorkspaceWide is whether the workspace is isolated: pods of its namespaces
	// accept traffic of this workspace only.
	WorkspaceWide bool
	// Suspended is whether the isolation of the namespace was turned off, and
	// its NamespaceNetworkPolicies with it.
	Suspended bool
}

// Isolated reports whether any isolation applies.
func (s State) Isolated() bool { return s.Project || s.WorkspaceWide }

// ForNamespace returns the isolation that applies to a namespace. The namespace
// says so in an annotation, its workspace in its specification.
func ForNamespace(ctx context.Context, reader client.Reader, namespace *corev1.Namespace) (State, error) {
	value, annotated := namespace.Annotations[networkv1alpha1.AnnotationNetworkIsolation]
	state := State{
		Namespace: namespace.Name, Workspace: namespace.Labels[iamv1alpha2.LabelWorkspace],
		Project: value == networkv1alpha1.NetworkIsolationEnabled, Suspended: annotated && value != networkv1alpha1.NetworkIsolationEnabled,
	}
	if state.Workspace == "" {
		return state, nil
	}
	wide, err := workspaceIsolated(ctx, reader, state.Workspace)
	state.WorkspaceWide = wide
	return state, err
}

// workspaceIsolated reads the Workspace, which is what a member cluster has, and
// the template while the Workspace is not there: deleting it, after which it is
// made anew, must not open its namespaces in between.
func workspaceIsolated(ctx context.Context, reader client.Reader, name string) (bool, error) {
	workspace := &tenantv1alpha1.Workspace{}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, workspace)
	if err == nil {
		return isTrue(workspace.Spec.NetworkIsolation), nil
	}
	if !apierrors.IsNotFound(err) {
		return false, err
	}
	template := &tenantv1alpha2.WorkspaceTemplate{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, template); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return isTrue(template.Spec.Template.Spec.NetworkIsolation), nil
}

func isTrue(value *bool) bool { return value != nil && *value }

// Names of the NetworkPolicies, which are KubeSphere's.
const (
	// PolicyName is that of the policy that isolates a namespace.
	PolicyName = "network-isolate"
	// policyPrefix begins those made of NamespaceNetworkPolicies.
	policyPrefix = "nsnp-"
)

// NameOf is the name of the NetworkPolicy made of a NamespaceNetworkPolicy.
func NameOf(policy string) string { return policyPrefix + policy }

// PolicyOf returns the name of the NamespaceNetworkPolicy that a NetworkPolicy of a name is
// made of. It reports whether the name is that of such a one.
func PolicyOf(name string) (string, bool) { return strings.CutPrefix(name, policyPrefix) }

// Isolates reports whether a name is one of those that policies which isolate a namespace
// have.
func Isolates(name string) bool {
	return name == PolicyName || strings.HasPrefix(name, PolicyName+"-")
}

// IsReserved reports whether a name is one of those NetworkPolicies made here
// have.
func IsReserved(name string) bool {
	return Isolates(name) || strings.HasPrefix(name, policyPrefix)
}
