// Package v1alpha2 has the types of the API group quota.kubesphere.io: limits
// for all namespaces of a workspace together.
//
// +kubebuilder:object:generate=true
// +groupName=quota.kubesphere.io
package v1alpha2
