// Package platform serves what clients ask first: the version of the platform
// and which features are enabled (config.kubesphere.io/v1alpha2).
package platform
