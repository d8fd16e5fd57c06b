package authz

import (
	"context"
	"slices"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// PrefixGroups is that of the groups by which Kubernetes knows the roles of the
// platform. No user has such a group but by a request of this server.
const PrefixGroups = "kubesphere:"

const (
	prefixGlobal    = PrefixGroups + "global:"
	prefixWorkspace = PrefixGroups + "workspace:"
)

// AdministratorsGroup is the group of the administrators of the platform at Kubernetes, by
// whatever role they are: none is called so, since a role may give less one day.
const AdministratorsGroup = PrefixGroups + "administrators"

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

// RoleGroups returns the groups that Kubernetes has to be told of to permit what the roles
// of a user permit in a scope, in order: those that stand for global roles, and in a
// namespace for those of its workspace, and those of the user's own that bindings of
// Kubernetes name there. The limits of a personal access token do not matter. uid returns
// the UID of a workspace.
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
	for _, group := range who.GetGroups() {
		if one := current.groups.get(group); one != nil && (len(one.cluster) > 0 || scope.Namespace != "" && len(one.namespaces.get(scope.Namespace)) > 0) && !strings.HasPrefix(group, "system:") {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), nil
}

// ChangedAt returns when the rights of a user may have changed last, as far as they
// follow from bindings of the user and the groups, from roles and from namespaces. Mirrors of
// them at Kubernetes follow.
func (r *RBAC) ChangedAt(ctx context.Context, who user.Info) (time.Time, error) {
	current, err := r.current(ctx)
	if err != nil {
		return time.Time{}, err
	}
	last := current.changed
	for one := range current.accesses(who) {
		if one.changed.After(last) {
			last = one.changed
		}
	}
	return last, nil
}

// IsMirror reports whether a binding is the mirror of one of the platform's, which gives
// nobody anything here.
func IsMirror(binding *iam.Binding) bool {
	return strings.HasPrefix(binding.Name, PrefixGroups) && !slices.ContainsFunc(binding.Subjects, func(subject rbacv1.Subject) bool {
		return subject.Kind != rbacv1.GroupKind || !strings.HasPrefix(subject.Name, PrefixGroups)
	})
}
