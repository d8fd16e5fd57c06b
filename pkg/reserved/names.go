package reserved

import (
	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
)

// Kind is a kind of objects whose names are registered.
type Kind string

// The kinds with reserved names.
const (
	Namespace     Kind = "Namespace"
	Workspace     Kind = "Workspace"
	User          Kind = "User"
	Group         Kind = "Group"
	GlobalRole    Kind = "GlobalRole"
	WorkspaceRole Kind = "WorkspaceRole"
	ClusterRole   Kind = "ClusterRole"
	Role          Kind = "Role"

	ClusterRoleBinding Kind = "ClusterRoleBinding"
	RoleBinding        Kind = "RoleBinding"
)

// Right is the right needed to write a reserved name or field.
type Right int

// The rights, each wider than the ones before.
const (
	// Free needs no right beyond the one to write the object.
	Free Right = iota
	// OwnName is Free for the name of the caller in a new object, and Cluster
	// for everything else.
	OwnName
	// Cluster is all rights in the cluster.
	Cluster
	// Platform is all rights on the platform.
	Platform
	// ServerOnly is held by this server alone.
	ServerOnly
)

// String names the right as error messages and documents do.
func (r Right) String() string {
	switch r {
	case OwnName:
		return "all rights in the cluster, or the name of the caller in a new object"
	case Cluster:
		return "all rights in the cluster"
	case Platform:
		return "all rights on the platform"
	case ServerOnly:
		return "the rights of this server"
	}
	return "no further right"
}

// name is a pattern of reserved names, see matchesPattern.
type name struct {
	pattern string
	right   Right
	owner   string // of the name, for messages
}

const (
	ofKubernetes = "Kubernetes"
	ofPlatform   = "the platform"
	ofServer     = "this server"
	// ofConfiguration owns the names an installation adds.
	ofConfiguration = "components of this installation"
)

// names are the reserved names by kind. The first pattern that matches counts.
// Names are compared in lower case: Kubernetes has no others, and identity
// providers do.
var names = map[Kind][]name{
	Namespace: {
		{"default", Cluster, ofKubernetes},
		{"kube-*", Cluster, ofKubernetes},
		{"kubesphere", Platform, ofPlatform},
		{"kubesphere-*", Platform, ofPlatform},
		// Components of the platform that the console shows.
		{"openpitrix-system", Cluster, ofPlatform},
		{"istio-system", Cluster, ofPlatform},
		{"porter-system", Cluster, ofPlatform},
	},
	Workspace: {
		{tenantv1alpha2.SystemWorkspace, ServerOnly, ofPlatform},
		// The roles copied into these would be called as global roles and
		// cluster roles are.
		{"platform", ServerOnly, ofPlatform},
		{"cluster", ServerOnly, ofPlatform},
		{"kube-*", Platform, ofKubernetes},
		{"kubesphere", Platform, ofPlatform},
		{"kubesphere-*", Platform, ofPlatform},
	},
	User: {
		{"system:*", ServerOnly, ofKubernetes},
		{"kubesphere:*", ServerOnly, ofPlatform},
		// Objects that came with the platform have this creator.
		{iamv1alpha2.CreatorSystem, ServerOnly, ofPlatform},
		// This server is called so in the audit log of Kubernetes.
		{"ks-apiserver", ServerOnly, ofServer},
		{iamv1alpha2.GlobalRoleAnonymous, ServerOnly, ofPlatform},
		{iamv1alpha2.GlobalRoleAuthenticated, ServerOnly, ofPlatform},
		{iamv1alpha2.GlobalRolePreRegistration, ServerOnly, ofPlatform},
		{"admin", Platform, ofPlatform},
		{"kubernetes-admin", Platform, ofKubernetes},
		{"kubernetes-super-admin", Platform, ofKubernetes},
		{"kube-*", Platform, ofKubernetes},
		{"kubesphere-*", Platform, ofPlatform},
	},
	Group: {
		{"system:*", ServerOnly, ofKubernetes},
		{"kubesphere:*", ServerOnly, ofPlatform},
		{"kubeadm:*", ServerOnly, ofKubernetes},
		{iamv1alpha2.GroupPreRegistration, ServerOnly, ofPlatform},
		{iamv1alpha2.GroupParentNone, ServerOnly, ofPlatform},
	},
	GlobalRole: {
		{"platform-*", Platform, ofPlatform},
		{iamv1alpha2.GlobalRoleAnonymous, Platform, ofPlatform},
		{iamv1alpha2.GlobalRoleAuthenticated, Platform, ofPlatform},
		{iamv1alpha2.GlobalRolePreRegistration, Platform, ofPlatform},
		{"role-template-*", Platform, ofPlatform},
		{"system:*", Platform, ofPlatform},
		{"kubesphere:*", Platform, ofPlatform},
	},
	WorkspaceRole: {
		{"role-template-*", Platform, ofPlatform},
		{"system:*", Platform, ofPlatform},
		{"kubesphere:*", Platform, ofPlatform},
	},
	ClusterRole: {
		{"cluster-admin", Cluster, ofKubernetes},
		{"cluster-viewer", Cluster, ofPlatform},
		{"role-template-*", Platform, ofPlatform},
		{"system:*", Cluster, ofKubernetes},
		{"kubesphere:*", Platform, ofPlatform},
		{"ks-apiserver", Platform, ofServer},
		{"ks-apiserver-impersonation", Platform, ofServer},
	},
	Role: {
		{"role-template-*", Cluster, ofPlatform},
		{"system:*", Cluster, ofKubernetes},
		{"kubesphere:*", Platform, ofPlatform},
	},
	ClusterRoleBinding: {
		{"cluster-admin", Cluster, ofKubernetes},
		// What this server may do; the last one lets replicas of earlier versions through.
		{"ks-apiserver", Platform, ofServer},
		{"ks-apiserver-impersonation", Platform, ofServer},
		{"kubesphere-authorized", Platform, ofServer},
		{"kubesphere:*", Platform, ofPlatform},
	},
	// Names of bindings begin with their subject, such as system:authenticated.
	RoleBinding: {
		{"kubesphere:*", Platform, ofPlatform},
	},
}
