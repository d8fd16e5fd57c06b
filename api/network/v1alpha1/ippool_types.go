package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VLANConfig is the VLAN the addresses of a pool are in.
type VLANConfig struct {
	// VlanID is the number of the VLAN.
	VlanID uint32 `json:"vlanId"`
	// Master is the interface of the nodes.
	Master string `json:"master"`
}

// Route is a route of the pods that have an address of a pool.
type Route struct {
	// Dst is the destination, as a CIDR range.
	// +optional
	Dst string `json:"dst,omitempty"`
	// GW is the address of the gateway.
	// +optional
	GW string `json:"gateway,omitempty"`
}

// DNS is how the pods that have an address of a pool resolve names.
type DNS struct {
	// +optional
	Nameservers []string `json:"nameservers,omitempty"`
	// +optional
	Domain string `json:"domain,omitempty"`
	// +optional
	Search []string `json:"search,omitempty"`
	// +optional
	Options []string `json:"options,omitempty"`
}

// IPPoolSpec is the desired state of a pool.
//
// +kubebuilder:pruning:PreserveUnknownFields
type IPPoolSpec struct {
	// Type is what the pool is made with, such as calico or vlan.
	Type string `json:"type"`
	// CIDR is the range of the addresses.
	CIDR string `json:"cidr"`
	// RangeStart is the first address to give out.
	// +optional
	RangeStart string `json:"rangeStart,omitempty"`
	// RangeEnd is the last address to give out.
	// +optional
	RangeEnd string `json:"rangeEnd,omitempty"`
	// Disabled pools give out no addresses.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
	// BlockSize is the length of the prefix of the blocks addresses are given
	// out from.
	// +optional
	BlockSize int `json:"blockSize,omitempty"`
	// +optional
	VLAN *VLANConfig `json:"vlanConfig,omitempty"`
	// Gateway is the address of the gateway of the pods.
	// +optional
	Gateway string `json:"gateway,omitempty"`
	// +optional
	Routes []Route `json:"routes,omitempty"`
	// +optional
	DNS *DNS `json:"dns,omitempty"`
}

// WorkspaceStatus is the use of a pool in a workspace.
type WorkspaceStatus struct {
	// Allocations is the number of addresses in use.
	Allocations int `json:"allocations"`
}

// IPPoolStatus is the observed state of a pool.
type IPPoolStatus struct {
	// Unallocated is the number of addresses that are free.
	Unallocated int `json:"unallocated"`
	// Allocations is the number of addresses in use.
	Allocations int `json:"allocations"`
	// Capacity is the number of addresses.
	Capacity int `json:"capacity"`
	// Reserved is the number of addresses that are not given out.
	// +optional
	Reserved int `json:"reserved,omitempty"`
	// Synced is whether the network plug-in has the pool.
	// +optional
	Synced bool `json:"synced,omitempty"`
	// Workspaces is the use by workspace.
	// +optional
	Workspaces map[string]WorkspaceStatus `json:"workspaces,omitempty"`
}

// IPPool is a range of addresses pods get theirs from. What it says is carried
// out by a controller of the network plug-in.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,categories=networking
// +kubebuilder:printcolumn:name="CIDR",type=string,JSONPath=`.spec.cidr`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IPPool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +optional
	Spec IPPoolSpec `json:"spec,omitempty"`
	// +optional
	Status IPPoolStatus `json:"status,omitempty"`
}

// IPPoolList is a list of pools.
// +kubebuilder:object:root=true
type IPPoolList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IPPool `json:"items"`
}
