package mirror

import (
	"maps"
	"strings"

	"golang.org/x/time/rate"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// What follows compares everything, as State does not: tests compare both.

// Of returns the mirrors of all roles that somebody was given: of global roles in the
// cluster, of workspace roles in each namespace of the workspace but those of the
// platform. Roles that give nothing at Kubernetes have none.
func Of(source Source) Mirrors {
	b := builder{
		source: source, known: make(map[string]string), large: &rate.Sometimes{First: 1},
		Mirrors: Mirrors{ClusterRoles: make(map[string][]rbacv1.PolicyRule), ClusterBindings: make(map[string]Binding), Bindings: make(map[types.NamespacedName]Binding)},
	}
	b.global()
	b.workspaces()
	return b.Mirrors
}

func (b *builder) workspaces() {
	roles := make(map[string]*iam.Role)
	for _, role := range b.source.Rights.WorkspaceRoles.Items {
		roles[role.Name] = role
	}
	given := make(map[string]map[string]*iam.Role) // by workspace and name
	for _, binding := range b.source.Rights.WorkspaceRoleBindings.Items {
		role := roles[binding.RoleRef.Name]
		if !gives(binding, role) {
			continue
		}
		if given[binding.Workspace] == nil {
			given[binding.Workspace] = make(map[string]*iam.Role)
		}
		given[binding.Workspace][role.Name] = role
	}
	for _, namespace := range b.source.Rights.Namespaces.Items {
		if namespace.Workspace == "" || b.source.Names.IsPlatformNamespace(namespace.Name) {
			continue
		}
		for _, role := range given[namespace.Workspace] {
			if name := b.clusterRole(role.Rules, true); name != "" {
				b.Bindings[bindingKey(namespace.Name, role.Name, name)] = Binding{Role: name, Group: authz.WorkspaceGroup(namespace.Workspace, b.source.UIDs[namespace.Workspace], role.Name)}
			}
		}
	}
}

// Difference returns what makes the mirrors among the present roles and bindings of
// Kubernetes the wanted ones.
func Difference(wanted Mirrors, present iam.Rights) Changes {
	c := differenceInCluster(wanted, present)
	terminating := make(map[string]bool)
	for _, namespace := range present.Namespaces.Items {
		terminating[namespace.Name] = namespace.Terminating
	}
	c.CreateBindings = maps.Clone(wanted.Bindings)
	maps.DeleteFunc(c.CreateBindings, func(key types.NamespacedName, _ Binding) bool { return terminating[key.Namespace] })
	for _, binding := range present.RoleBindings.Items {
		if !strings.HasPrefix(binding.Name, prefix) || terminating[binding.Namespace] {
			continue
		}
		key := types.NamespacedName{Namespace: binding.Namespace, Name: binding.Name}
		want, found := wanted.Bindings[key]
		switch {
		case !found && !authz.IsMirror(binding): // somebody else's
		case !found:
			c.DeleteBindings = append(c.DeleteBindings, key)
		case want.is(binding):
			delete(c.CreateBindings, key)
		default:
			c.ReplaceBindings = append(c.ReplaceBindings, key)
		}
	}
	return c
}
