// Package v1alpha1 defines network policies of namespaces, address pools and
// their bookkeeping of the network.kubesphere.io API group, as stored in
// Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=network.kubesphere.io
package v1alpha1
