package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// WorkspaceSpec is the desired state of a workspace.
type WorkspaceSpec struct {
	// Manager is the user who administers the workspace.
	// +optional
	Manager string `json:"manager,omitempty"`
	// NetworkIsolation keeps traffic of other workspaces out.
	// +optional
	NetworkIsolation *bool `json:"networkIsolation,omitempty"`
}

// WorkspaceStatus is the observed state of a workspace.
type WorkspaceStatus struct{}

// Workspace is a tenant: a set of namespaces with members and roles of its own.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=tenant
// +kubebuilder:printcolumn:name="Manager",type=string,JSONPath=`.spec.manager`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Workspace struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec WorkspaceSpec `json:"spec,omitempty"`
	// +optional
	Status WorkspaceStatus `json:"status,omitempty"`
}

// WorkspaceList is a list of workspaces.
// +kubebuilder:object:root=true
type WorkspaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Workspace `json:"items"`
}
