package kubeproxy

import (
	"context"
	"errors"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// workspaceTemplates are the templates of workspaces.
var workspaceTemplates = tenantv1alpha2.Resource("workspacetemplates")

// reservedKinds are the kinds of the register of names by resource.
var reservedKinds = map[schema.GroupResource]reserved.Kind{
	{Resource: "namespaces"}:                                              reserved.Namespace,
	{Group: groupTenant, Resource: "workspaces"}:                          reserved.Workspace,
	{Group: groupTenant, Resource: "workspacetemplates"}:                  reserved.Workspace,
	{Group: groupIAM, Resource: "users"}:                                  reserved.User,
	{Group: groupIAM, Resource: "groups"}:                                 reserved.Group,
	{Group: groupIAM, Resource: "globalroles"}:                            reserved.GlobalRole,
	{Group: groupIAM, Resource: "workspaceroles"}:                         reserved.WorkspaceRole,
	{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:        reserved.ClusterRole,
	{Group: "rbac.authorization.k8s.io", Resource: "roles"}:               reserved.Role,
	{Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}: reserved.ClusterRoleBinding,
	{Group: "rbac.authorization.k8s.io", Resource: "rolebindings"}:        reserved.RoleBinding,
}

// isRole reports whether a resource is a kind of roles, and isBinding whether it is a kind
// of bindings of roles.
func isRole(resource schema.GroupResource) bool {
	switch resource {
	case schema.GroupResource{Group: rbacv1.GroupName, Resource: "roles"}, schema.GroupResource{Group: rbacv1.GroupName, Resource: "clusterroles"},
		schema.GroupResource{Group: groupIAM, Resource: "globalroles"}, schema.GroupResource{Group: groupIAM, Resource: "workspaceroles"}:
		return true
	}
	return false
}

func isBinding(resource schema.GroupResource) bool {
	switch resource {
	case schema.GroupResource{Group: rbacv1.GroupName, Resource: "rolebindings"}, schema.GroupResource{Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
		schema.GroupResource{Group: groupIAM, Resource: "globalrolebindings"}, schema.GroupResource{Group: groupIAM, Resource: "workspacerolebindings"}:
		return true
	}
	return false
}

// permitWorkspaceTemplate returns nil when a user may change what reconcilers act on
// in the template of a workspace and in the workspace that is made of it.
func (p *Proxy) permitWorkspaceTemplate(ctx context.Context, who user.Info, before, after *unstructured.Unstructured) error {
	var was *tenantv1alpha2.WorkspaceTemplate
	if before != nil {
		was = &tenantv1alpha2.WorkspaceTemplate{}
		if err := convert(before.Object, was); err != nil {
			return err
		}
	}
	is := &tenantv1alpha2.WorkspaceTemplate{}
	if err := convert(after.Object, is); err != nil {
		return err
	}
	return authz.CheckWorkspaceTemplate(ctx, p.rights, who, was, is)
}

// permitReserved returns nil when a user may give an object its name, if it is
// new, and change the fields that reconcilers act on.
func (p *Proxy) permitReserved(ctx context.Context, who user.Info, resource schema.GroupResource, before, after *unstructured.Unstructured) error {
	if isRole(resource) {
		// The present state decides as well: a write may take the mark away.
		for _, state := range []*unstructured.Unstructured{before, after} {
			if state == nil {
				continue
			}
			if err := authz.CheckReservedRole(ctx, p.rights, who, reservedKinds[resource], resource, state); err != nil {
				return err
			}
		}
	} else if before == nil || isBinding(resource) {
		if kind, found := reservedKinds[resource]; found {
			if err := authz.CheckName(ctx, p.rights, who, kind, resource, after.GetName()); err != nil {
				return err
			}
		}
	}
	for _, state := range []*unstructured.Unstructured{before, after} {
		if state == nil {
			continue
		}
		if err := authz.CheckLock(ctx, p.rights, who, resource, state); err != nil {
			return err
		}
	}
	if isRole(resource) || isBinding(resource) {
		if err := authz.CheckSize(ctx, p.rights, who, resource, before, after); err != nil {
			return err
		}
		if p.options.Limits != nil {
			if err := p.options.Limits.CheckRights(ctx, who, before, after); err != nil {
				return err
			}
		}
	}
	if resource.Group == "" && resource.Resource == "namespaces" {
		var present metav1.Object
		if before != nil {
			present = before
		}
		if err := authz.CheckMetadata(ctx, p.rights, who, resource, present, after); err != nil {
			return err
		}
	}
	if before == nil {
		if resource == workspaceTemplates {
			return p.permitWorkspaceTemplate(ctx, who, nil, after)
		}
		return authz.CheckFields(ctx, p.rights, who, resource, nil, after)
	}
	if resource == workspaceTemplates {
		return p.permitWorkspaceTemplate(ctx, who, before, after)
	}
	if err := authz.CheckFields(ctx, p.rights, who, resource, before, after); err != nil {
		return err
	}
	// Members of a workspace have no roles in namespaces of the platform.
	if resource.Resource == "namespaces" && !sameWorkspace(before, after) {
		return authz.CheckName(ctx, p.rights, who, reserved.Namespace, resource, after.GetName())
	}
	return nil
}

// reservedOr returns the error of a write, or for the creation of an object that exists
// the error about its name if that is reserved: a reserved name has the same answer
// whether an object has it or not.
func (p *Proxy) reservedOr(ctx context.Context, who user.Info, info *request.Info, err error) error {
	resource := schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
	kind, found := reservedKinds[resource]
	var exists *apierrors.StatusError
	if !found || !apierrors.IsAlreadyExists(err) || !errors.As(err, &exists) || exists.ErrStatus.Details == nil {
		return err
	}
	if refused := authz.CheckName(ctx, p.rights, who, kind, resource, exists.ErrStatus.Details.Name); refused != nil {
		return refused
	}
	return err
}
