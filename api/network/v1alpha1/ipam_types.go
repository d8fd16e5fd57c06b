package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AllocationAttribute says what addresses are in use for.
type AllocationAttribute struct {
	// AttrPrimary is the ID of the handle.
	// +optional
	AttrPrimary string `json:"handle_id,omitempty"`
	// AttrSecondary is what else is known, such as the pod.
	// +optional
	AttrSecondary map[string]string `json:"secondary,omitempty"`
}

// IPAMBlockSpec is a block of addresses of a pool.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMBlockSpec struct {
	// ID is that of the pool.
	ID uint32 `json:"id"`
	// CIDR is the range of the block.
	CIDR string `json:"cidr"`
	// Allocations are indexes of Attributes by address, null for one that is free.
	// +nullable
	Allocations []*int `json:"allocations"`
	// Unallocated are the indexes of the addresses that are free.
	// +nullable
	Unallocated []int `json:"unallocated"`
	// Attributes say what addresses are in use for.
	// +nullable
	Attributes []AllocationAttribute `json:"attributes"`
	// Deleted is whether the block goes.
	Deleted bool `json:"deleted"`
}

// IPAMBlock is a block of addresses of a pool, and which are in use.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
type IPAMBlock struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec IPAMBlockSpec `json:"spec,omitempty"`
}

// IPAMBlockList is a list of blocks.
// +kubebuilder:object:root=true
type IPAMBlockList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMBlock `json:"items"`
}

// IPAMHandleSpec is what has addresses.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPAMHandleSpec struct {
	// HandleID is the ID of the handle.
	HandleID string `json:"handleID"`
	// Block is the number of addresses by block.
	Block map[string]int `json:"block"`
	// Deleted is whether the handle goes.
	Deleted bool `json:"deleted"`
}

// IPAMHandle says which blocks the addresses of a pod are in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
type IPAMHandle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec IPAMHandleSpec `json:"spec,omitempty"`
}

// IPAMHandleList is a list of handles.
// +kubebuilder:object:root=true
type IPAMHandleList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPAMHandle `json:"items"`
}
