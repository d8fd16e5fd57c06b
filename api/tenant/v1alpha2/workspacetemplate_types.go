package v1alpha2

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ObjectMeta is the metadata copied from a template to the workspaces made of it.
type ObjectMeta struct {
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// WorkspaceSpec is the specification of the workspaces made of a template.
type WorkspaceSpec struct {
	// Manager is the user who administers the workspace.
	// +optional
	Manager string `json:"manager,omitempty"`
	// NetworkIsolation keeps traffic of other workspaces out.
	// +optional
	NetworkIsolation *bool `json:"networkIsolation,omitempty"`
}

// Template is the workspace to create in each cluster.
type Template struct {
	// +optional
	ObjectMeta `json:"metadata,omitempty"`
	// +optional
	Spec WorkspaceSpec `json:"spec,omitempty"`
}

// ClusterReference names a cluster.
type ClusterReference struct {
	// Name of the cluster.
	Name string `json:"name"`
}

// Placement says which clusters a workspace exists in.
type Placement struct {
	// Clusters are named one by one.
	// +optional
	Clusters []ClusterReference `json:"clusters,omitempty"`
	// ClusterSelector selects clusters by their labels.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
}

// ClusterOverride changes one field of the template in a cluster, as in RFC 6902.
type ClusterOverride struct {
	// Path is a JSON pointer.
	Path string `json:"path"`
	// Op is add, remove or replace; replace when empty.
	// +optional
	Op string `json:"op,omitempty"`
	// Value is any JSON value.
	// +optional
	Value *apiextensionsv1.JSON `json:"value,omitempty"`
}

// Override changes the template in one cluster.
type Override struct {
	// ClusterName names the cluster.
	ClusterName string `json:"clusterName"`
	// ClusterOverrides are applied in order.
	// +optional
	ClusterOverrides []ClusterOverride `json:"clusterOverrides,omitempty"`
}

// WorkspaceTemplateSpec is the desired state of a workspace in all clusters.
type WorkspaceTemplateSpec struct {
	// +optional
	Template Template `json:"template,omitempty"`
	// +optional
	Placement Placement `json:"placement,omitempty"`
	// +optional
	Overrides []Override `json:"overrides,omitempty"`
}

// WorkspaceTemplate describes a workspace and the clusters it exists in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=tenant
// +kubebuilder:printcolumn:name="Manager",type=string,JSONPath=`.spec.template.spec.manager`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type WorkspaceTemplate struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec WorkspaceTemplateSpec `json:"spec,omitempty"`
}

// WorkspaceTemplateList is a list of workspace templates.
// +kubebuilder:object:root=true
type WorkspaceTemplateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkspaceTemplate `json:"items"`
}
