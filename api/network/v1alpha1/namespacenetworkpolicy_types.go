package v1alpha1

import (
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NamespaceSelector selects all pods of a namespace.
type NamespaceSelector struct {
	// Name of the namespace.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// ServiceSelector selects the pods a service leads to.
type ServiceSelector struct {
	// Name of the service.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
	// Namespace of the service.
	// +kubebuilder:validation:MinLength=1
	Namespace string `json:"namespace"`
}

// NetworkPolicyPeer is the other side of a connection. One of the fields is set.
type NetworkPolicyPeer struct {
	// NamespaceSelector selects the pods of a namespace.
	// +optional
	NamespaceSelector *NamespaceSelector `json:"namespace,omitempty"`
	// IPBlock selects a range of addresses.
	// +optional
	IPBlock *networkingv1.IPBlock `json:"ipBlock,omitempty"`
	// ServiceSelector selects the pods of a service.
	// +optional
	ServiceSelector *ServiceSelector `json:"service,omitempty"`
}

// NetworkPolicyIngressRule allows connections to the pods of the namespace.
type NetworkPolicyIngressRule struct {
	// Ports the connections may be to; all when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Ports []networkingv1.NetworkPolicyPort `json:"ports,omitempty"`
	// From are the other sides; all when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	From []NetworkPolicyPeer `json:"from,omitempty"`
}

// NetworkPolicyEgressRule allows connections from the pods of the namespace.
type NetworkPolicyEgressRule struct {
	// Ports the connections may be to; all when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Ports []networkingv1.NetworkPolicyPort `json:"ports,omitempty"`
	// To are the other sides; all when empty.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	To []NetworkPolicyPeer `json:"to,omitempty"`
}

// NamespaceNetworkPolicySpec is the desired state of a policy.
type NamespaceNetworkPolicySpec struct {
	// Ingress allows connections to the pods of the namespace.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Ingress []NetworkPolicyIngressRule `json:"ingress,omitempty"`
	// Egress allows connections from the pods of the namespace.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	Egress []NetworkPolicyEgressRule `json:"egress,omitempty"`
	// PolicyTypes are the directions the policy is about, as in a NetworkPolicy.
	// +optional
	PolicyTypes []networkingv1.PolicyType `json:"policyTypes,omitempty"`
}

// NamespaceNetworkPolicyStatus is the observed state of a policy.
type NamespaceNetworkPolicyStatus struct {
	// Conditions are of type Enforced.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// NamespaceNetworkPolicy allows connections from and to all pods of a namespace,
// as an exception from its isolation. Its peers are namespaces and services by
// name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories=networking,shortName=nsnp
// +kubebuilder:printcolumn:name="Enforced",type=string,JSONPath=`.status.conditions[?(@.type=="Enforced")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NamespaceNetworkPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec NamespaceNetworkPolicySpec `json:"spec,omitempty"`
	// +optional
	Status NamespaceNetworkPolicyStatus `json:"status,omitempty"`
}

// NamespaceNetworkPolicyList is a list of policies.
// +kubebuilder:object:root=true
type NamespaceNetworkPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NamespaceNetworkPolicy `json:"items"`
}
