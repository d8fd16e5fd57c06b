// Package tenant creates, changes and deletes workspaces and projects together
// with what belongs to them: their roles, the bindings of who manages or
// created them, and quotas. Handlers and reconcilers share its functions. It
// imports pkg/iam and the API types.
package tenant
