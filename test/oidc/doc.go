// Package oidc tests a running ks-apiserver with the libraries applications log
// in with: golang.org/x/oauth2, coreos/go-oidc, and the relying party of
// zitadel/oidc. It is a module of its own, so that they never become part of
// the server's.
package oidc
