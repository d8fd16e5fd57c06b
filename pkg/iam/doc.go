// Package iam is the directory of users, roles and bindings: typed views of
// the objects the list engine keeps, decoded once per version. Domains that
// decide by them import it; it imports pkg/objects.
package iam
