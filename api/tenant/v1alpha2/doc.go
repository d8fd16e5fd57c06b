// Package v1alpha2 defines workspace templates of the tenant.kubesphere.io API group, as stored in
// Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=tenant.kubesphere.io
package v1alpha2
