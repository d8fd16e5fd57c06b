package authz

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// PrefixGroups is that of the groups by which Kubernetes knows the roles of the
// platform. No user has such a group but by a request of this server.
const PrefixGroups = "kubesphere:"

const (
	prefixGlobal    = PrefixGroups + "global:"
	prefixWorkspace = PrefixGroups + "workspace:"
)

// AdministratorsGroup is the group of the administrators of the platform at Kubernetes.
const AdministratorsGroup = prefixGlobal + iamv1alpha2.GlobalRolePlatformAdmin

// GlobalGroup returns the group that stands at Kubernetes for who was given a global role.
func GlobalGroup(role string) string { return prefixGlobal + role }

// WorkspaceGroup returns the group that stands at Kubernetes for who was given a role in a
// workspace. With its UID a workspace made again under the name is another one.
func WorkspaceGroup(workspace, uid, role string) string {
	return prefixWorkspace + workspace + ":" + uid + ":" + role
}

// RulesOf returns the rules of a global role as this server reads them.
func RulesOf(role *iam.Role) []rbacv1.PolicyRule { return mended(role).Rules }

// IsEverything reports whether rules include all verbs on all resources.
func IsEverything(rules []rbacv1.PolicyRule) bool {
	return slices.ContainsFunc(rules, func(rule rbacv1.PolicyRule) bool { return isEverything(&rule) })
}

// RoleGroups returns the groups that stand at Kubernetes for the roles of a user that
// count in a scope, in order: the global ones, and in a namespace those of its
// workspace. Roles of the cluster and of namespaces are Kubernetes' own. The limits of a
// personal access token do not matter. uid returns the UID of a workspace.
func (r *RBAC) RoleGroups(ctx context.Context, who user.Info, scope Scope, uid func(workspace string) string) ([]string, error) {
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	if current.administers(who) {
		return []string{AdministratorsGroup}, nil
	}
	var groups []string
	workspace := current.workspaces[scope.Namespace]
	ofWorkspace := ""
	if workspace != "" {
		ofWorkspace = uid(workspace)
	}
	for one := range current.accesses(who) {
		for _, g := range one.platform {
			if current.roles[*g.role].Role != nil {
				groups = append(groups, GlobalGroup(g.role.name))
			}
		}
		if workspace == "" {
			continue
		}
		for _, g := range one.workspaces.get(workspace) {
			if g.role.kind == kindWorkspaceRole && len(current.rules(g)) > 0 {
				groups = append(groups, WorkspaceGroup(workspace, ofWorkspace, g.role.name))
			}
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}
