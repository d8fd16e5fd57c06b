// Package v1alpha1 defines workspaces of the tenant.kubesphere.io API group, as stored in
// Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=tenant.kubesphere.io
package v1alpha1
