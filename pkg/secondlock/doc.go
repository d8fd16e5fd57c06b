// Package secondlock lets kube-apiserver decide by its own RBAC about each request this
// server has permitted. Requests are made as the user, in groups that stand for the roles
// of the platform which count where the request takes place; pkg/mirror says what these
// groups are bound to. What Kubernetes' roles cannot express is written by the server's
// own account, after its decision. A refusal that is only too early is tried again.
package secondlock
