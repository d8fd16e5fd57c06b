package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConnectionType is how the host reaches a member cluster.
// +kubebuilder:validation:Enum=direct;proxy
type ConnectionType string

const (
	// ConnectionDirect uses the cluster's kubeconfig.
	ConnectionDirect ConnectionType = "direct"
	// ConnectionProxy goes through an agent in the cluster.
	ConnectionProxy ConnectionType = "proxy"
)

// Connection holds what is needed to reach a cluster.
type Connection struct {
	// +optional
	Type ConnectionType `json:"type,omitempty"`
	// KubeConfig is the kubeconfig of the cluster; it is never returned by ks-apiserver.
	// +optional
	KubeConfig []byte `json:"kubeconfig,omitempty"`
	// +optional
	KubernetesAPIEndpoint string `json:"kubernetesAPIEndpoint,omitempty"`
	// +optional
	ExternalKubernetesAPIEndpoint string `json:"externalKubernetesAPIEndpoint,omitempty"`
	// +optional
	KubeSphereAPIEndpoint string `json:"kubesphereAPIEndpoint,omitempty"`
	// Token authenticates the agent of a proxy connection.
	// +optional
	Token string `json:"token,omitempty"`
	// +optional
	KubernetesAPIServerPort uint16 `json:"kubernetesAPIServerPort,omitempty"`
	// +optional
	KubeSphereAPIServerPort uint16 `json:"kubesphereAPIServerPort,omitempty"`
}

// ClusterSpec is the desired state of a cluster.
type ClusterSpec struct {
	// JoinFederation is kept for KubeSphere 3.x clusters.
	// +optional
	JoinFederation bool `json:"joinFederation,omitempty"`
	// ExternalKubeAPIEnabled exposes the kube-apiserver of a proxied cluster.
	// +optional
	ExternalKubeAPIEnabled bool `json:"externalKubeAPIEnabled,omitempty"`
	// Enable says whether requests are sent to the cluster.
	// +optional
	Enable bool `json:"enable,omitempty"`
	// Provider is the cloud provider of the cluster.
	// +optional
	Provider string `json:"provider,omitempty"`
	// Connection says how to reach the cluster.
	// +optional
	Connection Connection `json:"connection,omitempty"`
}

// ClusterCondition is one aspect of a cluster's state.
type ClusterCondition struct {
	// Type such as Ready, Initialized or AgentAvailable.
	Type string `json:"type"`
	// Status is True, False or Unknown.
	Status corev1.ConditionStatus `json:"status"`
	// +optional
	LastUpdateTime metav1.Time `json:"lastUpdateTime,omitempty"`
	// +optional
	LastTransitionTime metav1.Time `json:"lastTransitionTime,omitempty"`
	// +optional
	Reason string `json:"reason,omitempty"`
	// +optional
	Message string `json:"message,omitempty"`
}

// ClusterStatus is the observed state of a cluster.
type ClusterStatus struct {
	// +optional
	Conditions []ClusterCondition `json:"conditions,omitempty"`
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`
	// +optional
	KubeSphereVersion string `json:"kubeSphereVersion,omitempty"`
	// +optional
	NodeCount int `json:"nodeCount,omitempty"`
	// +optional
	Zones []string `json:"zones,omitempty"`
	// +optional
	Region *string `json:"region,omitempty"`
	// Configz says which features are enabled in the cluster.
	// +optional
	Configz map[string]bool `json:"configz,omitempty"`
	// UID is the UID of the cluster's kube-system namespace.
	// +optional
	UID string `json:"uid,omitempty"`
}

// Cluster is a Kubernetes cluster requests can be sent to.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Federated",type=boolean,JSONPath=`.spec.joinFederation`
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.provider`
// +kubebuilder:printcolumn:name="Active",type=boolean,JSONPath=`.spec.enable`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.kubernetesVersion`
type Cluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec ClusterSpec `json:"spec,omitempty"`
	// +optional
	Status ClusterStatus `json:"status,omitempty"`
}

// ClusterList is a list of clusters.
// +kubebuilder:object:root=true
type ClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Cluster `json:"items"`
}
