// Package v1alpha1 has the types of the API group extensions.kubesphere.io:
// services of the cluster that are reached through this server.
//
// +kubebuilder:object:generate=true
// +groupName=extensions.kubesphere.io
package v1alpha1
