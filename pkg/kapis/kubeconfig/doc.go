// Package kubeconfig is the door to the file kubectl is configured with: it
// points to this server, so that the same authorizer decides. It imports
// domains and pkg/route.
package kubeconfig
