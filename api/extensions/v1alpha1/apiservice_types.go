package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// APIServiceSpec says which version of an API group a back end serves.
type APIServiceSpec struct {
	// Group is the API group, below /kapis.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$`
	// +kubebuilder:validation:MaxLength=253
	Group string `json:"group"`
	// Version of the group.
	// +kubebuilder:validation:Pattern=`^v[0-9]+((alpha|beta)[0-9]+)?$`
	Version string `json:"version"`

	Endpoint `json:",inline"`
}

// APIService lets a back end serve /kapis/{group}/{version}. Who calls and
// whether he may is found out before; its OpenAPI document, at /openapi/v2,
// becomes part of that of this server.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=extensions
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.group`
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.spec.version`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.state`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type APIService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec APIServiceSpec `json:"spec"`
	// +optional
	Status EndpointStatus `json:"status,omitempty"`
}

// APIServiceList is a list of API services.
// +kubebuilder:object:root=true
type APIServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []APIService `json:"items"`
}
