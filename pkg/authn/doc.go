// Package authn finds out who sends a request: by bearer token, by HTTP Basic
// or, without credentials, anonymously. It combines k8s.io/apiserver's
// authenticators with pkg/token, pkg/session and pkg/identity; pkg/server
// calls it.
package authn
