// Package mirror says which ClusterRoles and bindings of Kubernetes stand for the roles
// of the platform and of workspaces, so that kube-apiserver decides about forwarded
// requests by its own RBAC. A role becomes a ClusterRole per set of rules; groups that
// only this server sends stand for who was given it. Nothing here writes: Difference is
// what a reconciler has to do. There is none yet: requests are still forwarded in a group that
// may do everything.
package mirror
