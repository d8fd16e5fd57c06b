// Package v1alpha1 defines the gateways of projects of the
// gateway.kubesphere.io API group, as stored in Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=gateway.kubesphere.io
package v1alpha1
