// Package authz decides what users may do. The default is to deny. Rules have
// the meaning Kubernetes RBAC gives them; roles and bindings are compiled once
// per change, so that a decision walks the caller's own rules only. It imports
// pkg/iam; pkg/server calls it through k8s.io/apiserver's interface.
package authz
