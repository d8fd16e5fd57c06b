// Package v1alpha2 defines users, groups, roles and bindings of the
// iam.kubesphere.io API group, as stored in Kubernetes.
//
// +kubebuilder:object:generate=true
// +groupName=iam.kubesphere.io
package v1alpha2
