package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Scope is which ingresses a gateway serves.
type Scope struct {
	// Enabled restricts it to those of Namespace.
	// +optional
	Enabled bool `json:"enabled,omitempty"`
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// ControllerSpec is the ingress controller of a gateway.
type ControllerSpec struct {
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Config are the options of the ingress controller.
	// +optional
	Config map[string]string `json:"config,omitempty"`
	// +optional
	Scope Scope `json:"scope,omitempty"`
}

// ServiceSpec is the service a gateway is reached by.
type ServiceSpec struct {
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// Type is NodePort, LoadBalancer or ClusterIP.
	// +optional
	Type corev1.ServiceType `json:"type,omitempty"`
}

// DeploymentSpec is the deployment of a gateway.
type DeploymentSpec struct {
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
	// +optional
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
}

// GatewaySpec is the desired state of a gateway.
//
// +kubebuilder:pruning:PreserveUnknownFields
type GatewaySpec struct {
	// +optional
	Controller ControllerSpec `json:"controller,omitempty"`
	// +optional
	Service ServiceSpec `json:"service,omitempty"`
	// +optional
	Deployment DeploymentSpec `json:"deployment,omitempty"`
}

// Gateway is the way into a project, of which a controller makes an ingress
// controller.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
type Gateway struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec GatewaySpec `json:"spec,omitempty"`
	// Status is that of the controller.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Status runtime.RawExtension `json:"status,omitempty"`
}

// GatewayList is a list of gateways.
// +kubebuilder:object:root=true
type GatewayList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Gateway `json:"items"`
}
