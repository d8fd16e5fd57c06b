package authz

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"
)

// FindPlatformExcess is FindExcess for the roles of subject on the platform and in the
// cluster. It is for actions on a user that give the actor nothing, such as disabling:
// members of workspaces and projects get their roles from each other, which must not
// protect them from the users who manage users.
func (r *RBAC) FindPlatformExcess(ctx context.Context, actor, subject user.Info) (*Excess, error) {
	return r.findExcess(ctx, actor, subject, func(scope Scope) bool { return scope.Workspace == "" && scope.Namespace == "" })
}
