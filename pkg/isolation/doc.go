// Package isolation keeps the network traffic of workspaces and projects apart:
// it says which isolation applies to a namespace, and which NetworkPolicies of
// Kubernetes carry it out.
package isolation
