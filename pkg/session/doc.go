// Package session keeps logins as Session objects in Kubernetes, so that all
// replicas know them and a restart loses none: refresh tokens that change with
// each use, detection of stolen ones, and revocation. pkg/oauth and pkg/authn
// import it.
package session
