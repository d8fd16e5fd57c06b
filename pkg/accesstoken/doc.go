// Package accesstoken keeps the personal access tokens of users: made by the
// user for a program, with scopes and an end, shown once and stored as a hash.
// A token is an object, so deleting it ends it on every replica. pkg/authn and
// the doors import it.
package accesstoken
