package kubeproxy

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// reservedKinds are the kinds of the register of names by resource.
var reservedKinds = map[schema.GroupResource]reserved.Kind{
	{Resource: "namespaces"}:                                       reserved.Namespace,
	{Group: groupTenant, Resource: "workspaces"}:                   reserved.Workspace,
	{Group: groupTenant, Resource: "workspacetemplates"}:           reserved.Workspace,
	{Group: groupIAM, Resource: "users"}:                           reserved.User,
	{Group: groupIAM, Resource: "groups"}:                          reserved.Group,
	{Group: groupIAM, Resource: "globalroles"}:                     reserved.GlobalRole,
	{Group: groupIAM, Resource: "workspaceroles"}:                  reserved.WorkspaceRole,
	{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}: reserved.ClusterRole,
	{Group: "rbac.authorization.k8s.io", Resource: "roles"}:        reserved.Role,
}

// permitReserved returns nil when a user may give an object its name, if it is
// new, and change what reconcilers act on.
func (p *Proxy) permitReserved(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	if before == nil {
		if kind, found := reservedKinds[resource]; found {
			if err := authz.CheckName(ctx, p.rights, who, kind, resource, after.GetName()); err != nil {
				return err
			}
		}
		return authz.CheckFields(ctx, p.rights, who, resource, nil, after)
	}
	if err := authz.CheckFields(ctx, p.rights, who, resource, before, after); err != nil {
		return err
	}
	// Members of a workspace must not get a namespace of the platform.
	if resource.Resource == "namespaces" && !sameWorkspace(before, after) {
		return authz.CheckName(ctx, p.rights, who, reserved.Namespace, resource, after.GetName())
	}
	return nil
}
