package tenant

import (
	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// checkNewManager returns a forbidden error when a new workspace gets a manager whom the
// caller may not give a role: the manager becomes its administrator. A personal access
// token creates workspaces of its owner, unless its scopes include bindings of roles.
func checkNewManager(who user.Info, created *tenantv1alpha2.WorkspaceTemplate) error {
	manager := created.Spec.Template.Spec.Manager
	if manager == "" || manager == who.GetName() {
		return nil
	}
	return authz.CheckBindingScope(who, authz.Scope{Workspace: created.Name}, "WorkspaceRole", created.Name+"-admin")
}
