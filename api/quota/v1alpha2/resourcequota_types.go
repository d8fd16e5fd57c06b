package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ResourceQuotaSpec is what the namespaces of a workspace may use together.
type ResourceQuotaSpec struct {
	// LabelSelector selects the namespaces: by kubesphere.io/workspace.
	LabelSelector map[string]string `json:"selector"`
	// Quota is the limit for all of them.
	Quota corev1.ResourceQuotaSpec `json:"quota"`
}

// ResourceQuotaStatusByNamespace is what one namespace uses.
type ResourceQuotaStatusByNamespace struct {
	corev1.ResourceQuotaStatus `json:",inline"`
	// Namespace is its name.
	Namespace string `json:"namespace"`
}

// ResourceQuotaStatus is what is used.
type ResourceQuotaStatus struct {
	// Total is the limit and what all namespaces use together.
	Total corev1.ResourceQuotaStatus `json:"total"`
	// Namespaces is what each uses.
	// +optional
	// +nullable
	Namespaces []ResourceQuotaStatusByNamespace `json:"namespaces"`
}

// ResourceQuota limits what the namespaces of a workspace use together.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=quota
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.metadata.labels.kubesphere\.io/workspace`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ResourceQuota struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ResourceQuotaSpec `json:"spec"`
	// +optional
	Status ResourceQuotaStatus `json:"status,omitempty"`
}

// ResourceQuotaList is a list of quotas.
// +kubebuilder:object:root=true
type ResourceQuotaList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ResourceQuota `json:"items"`
}
