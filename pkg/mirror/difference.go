package mirror

import (
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// Changes are what makes the present mirrors the wanted ones. They are made in the order
// of the fields: a binding comes after its role, and what it takes the place of goes after
// it, so that nothing that is allowed is refused meanwhile.
type Changes struct {
	CreateRoles, UpdateRoles map[string][]rbacv1.PolicyRule
	// ReplaceClusterBindings and ReplaceBindings are there with another role or group, and
	// are deleted before they are created: a binding keeps its role.
	ReplaceClusterBindings []string
	CreateClusterBindings  map[string]Binding
	ReplaceBindings        []types.NamespacedName
	CreateBindings         map[types.NamespacedName]Binding
	DeleteClusterBindings  []string
	DeleteBindings         []types.NamespacedName
	DeleteRoles            []string
	// Partial says that there are more, see State.Fair, and Refused that some are left out,
	// see State.Refused.
	Partial, Refused bool
}

// Empty reports whether there is nothing to do.
func (c *Changes) Empty() bool {
	return len(c.CreateRoles)+len(c.UpdateRoles)+len(c.CreateClusterBindings)+len(c.CreateBindings)+
		len(c.DeleteClusterBindings)+len(c.DeleteBindings)+len(c.DeleteRoles) == 0
}

// Missing returns the part of the changes that is not there at all.
func (c *Changes) Missing() Changes {
	missing := Changes{CreateRoles: c.CreateRoles, CreateClusterBindings: maps.Clone(c.CreateClusterBindings), CreateBindings: maps.Clone(c.CreateBindings)}
	for _, name := range c.ReplaceClusterBindings {
		delete(missing.CreateClusterBindings, name)
	}
	for _, key := range c.ReplaceBindings {
		delete(missing.CreateBindings, key)
	}
	return missing
}

// differenceInCluster returns what makes the roles and bindings of the cluster the wanted
// ones.
func differenceInCluster(wanted Mirrors, present iam.Rights) Changes {
	c := Changes{
		CreateRoles: maps.Clone(wanted.ClusterRoles), UpdateRoles: make(map[string][]rbacv1.PolicyRule), CreateClusterBindings: maps.Clone(wanted.ClusterBindings),
	}
	for _, role := range present.ClusterRoles.Items {
		if !strings.HasPrefix(role.Name, prefixRules) {
			continue
		}
		rules, found := wanted.ClusterRoles[role.Name]
		switch {
		case !found:
			c.DeleteRoles = append(c.DeleteRoles, role.Name)
			continue
		case !equality.Semantic.DeepEqual(rules, role.Rules):
			c.UpdateRoles[role.Name] = rules
		}
		delete(c.CreateRoles, role.Name)
	}
	for _, binding := range present.ClusterRoleBindings.Items {
		if !strings.HasPrefix(binding.Name, prefix) {
			continue
		}
		want, found := wanted.ClusterBindings[binding.Name]
		switch {
		case !found && !authz.IsMirror(binding): // somebody else's
		case !found:
			c.DeleteClusterBindings = append(c.DeleteClusterBindings, binding.Name)
		case want.is(binding):
			delete(c.CreateClusterBindings, binding.Name)
		default:
			c.ReplaceClusterBindings = append(c.ReplaceClusterBindings, binding.Name)
		}
	}
	return c
}

// is reports whether a binding of Kubernetes is the wanted one.
func (b Binding) is(binding *iam.Binding) bool {
	return binding.RoleRef.Kind == "ClusterRole" && binding.RoleRef.Name == b.Role && slices.Equal(binding.Subjects, b.Subjects())
}

// Subjects are those of the binding: the group.
func (b Binding) Subjects() []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: b.Group}}
}

// RoleRef is that of the binding.
func (b Binding) RoleRef() rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: b.Role}
}
