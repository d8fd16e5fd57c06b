// Package v1alpha1 defines clusters of the cluster.kubesphere.io API group, as stored in
// Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=cluster.kubesphere.io
package v1alpha1
