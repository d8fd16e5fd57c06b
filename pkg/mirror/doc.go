// Package mirror says which ClusterRoles and bindings of Kubernetes stand for the roles
// of the platform and of workspaces, so that kube-apiserver decides about forwarded
// requests by its own RBAC. A role becomes a ClusterRole per set of rules; groups that
// only this server sends stand for who was given it. Nothing here writes: State says what a
// reconciler has to do.
package mirror
