package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GroupSpec is the desired state of a group. It has no fields: members are in
// group bindings, the workspace is a label, the parent an owner reference.
type GroupSpec struct{}

// GroupStatus is the observed state of a group.
type GroupStatus struct{}

// Group is a set of users that role bindings can name.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="Workspace",type=string,JSONPath=`.metadata.labels.kubesphere\.io/workspace`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Group struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec GroupSpec `json:"spec,omitempty"`
	// +optional
	Status GroupStatus `json:"status,omitempty"`
}

// GroupList is a list of groups.
// +kubebuilder:object:root=true
type GroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Group `json:"items"`
}

// GroupReference names a group.
type GroupReference struct {
	// APIGroup is iam.kubesphere.io.
	// +optional
	APIGroup string `json:"apiGroup,omitempty"`
	// Kind is Group.
	// +optional
	Kind string `json:"kind,omitempty"`
	// Name of the group.
	// +optional
	Name string `json:"name,omitempty"`
}

// GroupBinding puts users into a group.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=iam
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.groupRef.name`
// +kubebuilder:printcolumn:name="Users",type=string,JSONPath=`.users`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type GroupBinding struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// GroupRef names the group.
	// +optional
	GroupRef GroupReference `json:"groupRef,omitempty"`
	// Users are the names of the members.
	// +optional
	Users []string `json:"users,omitempty"`
}

// GroupBindingList is a list of group bindings.
// +kubebuilder:object:root=true
type GroupBindingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []GroupBinding `json:"items"`
}
