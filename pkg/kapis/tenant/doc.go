// Package tenant is the door to workspaces, projects and their quotas: the API
// group tenant.kubesphere.io. Lists show what the caller may see. It imports
// domains and pkg/route.
package tenant
