package authz

import (
	"iter"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// Kinds of roles.
const (
	kindGlobalRole    = "GlobalRole"
	kindWorkspaceRole = "WorkspaceRole"
	kindClusterRole   = "ClusterRole"
	kindRole          = "Role"
)

// compiled is what is known of all subjects, of one state of everything it was
// made from. It never changes: the next state shares what is the same.
type compiled struct {
	from       iam.Rights
	roles      map[roleKey]role
	users      subjects // service accounts by their user names
	groups     subjects
	workspaces map[string]string   // of namespaces, by name
	namespaces map[string][]string // of workspaces, by name
	// changed is when roles or namespaces changed last.
	changed  time.Time
	versions *roleVersions
	visible  *rememberedNames
}

type roleKey struct{ kind, namespace, name string }

// access is what bindings give to one subject.
type access struct {
	platform, cluster      []grant
	workspaces, namespaces placed
	changed                time.Time
	decisions              *decisions // nil while there are few grants in each place
}

// grant is a role given by a binding.
type grant struct {
	binding *iam.Binding
	role    *roleKey // one for all subjects of a binding
}

// role is that of a grant, if it exists. A role of one workspace gives nothing in another:
// else who may change it there would rule here.
func (c *compiled) role(g grant) (role, bool) {
	found, exists := c.roles[*g.role]
	if !exists || g.role.kind == kindWorkspaceRole && found.Workspace != "" && found.Workspace != g.binding.Workspace {
		return role{}, false
	}
	return found, true
}

// rules are those of the role of a grant, none when it does not exist.
func (c *compiled) rules(g grant) []rbacv1.PolicyRule {
	if role, found := c.role(g); found {
		return role.Rules
	}
	return nil
}

// given are all grants that count for somebody in a scope.
func (c *compiled) given(who user.Info, scope Scope) iter.Seq[grant] {
	workspace := c.workspaceOf(scope)
	return func(yield func(grant) bool) {
		each := func(grants []grant) bool {
			for _, g := range grants {
				if !yield(g) {
					return false
				}
			}
			return true
		}
		for one := range c.accesses(who) {
			if !each(one.platform) {
				return
			}
			if scope == (Scope{}) {
				continue
			}
			if !each(one.cluster) {
				return
			}
			// No workspace is no name: it does not stand for all of them.
			if workspace != "" && !each(one.workspaces.get(workspace)) {
				return
			}
			if scope.Namespace != "" && !each(one.namespaces.get(scope.Namespace)) {
				return
			}
		}
	}
}

// workspaceOf is the workspace whose roles count in a scope, "" for none.
func (c *compiled) workspaceOf(scope Scope) string {
	if scope.Namespace != "" {
		return c.workspaces[scope.Namespace]
	}
	return scope.Workspace
}

// IsServiceAccount reports whether a user is a service account of the cluster. No
// User object can have such a name.
func IsServiceAccount(who user.Info) bool {
	if who == nil {
		return false
	}
	_, _, err := serviceaccount.SplitUsername(who.GetName())
	return err == nil
}

// accesses are those of a user and of the user's groups. For the groups of a service
// account ClusterRoleBindings and RoleBindings count, as in Kubernetes: what roles of
// the platform and of workspaces give all who are logged in is meant for people.
func (c *compiled) accesses(who user.Info) iter.Seq[*access] {
	return func(yield func(*access) bool) {
		if who == nil {
			return
		}
		if own := c.users.get(who.GetName()); own != nil && !yield(own) {
			return
		}
		kubernetesOnly := IsServiceAccount(who)
		for _, group := range who.GetGroups() {
			shared := c.groups.get(group)
			if shared != nil && kubernetesOnly {
				shared = &access{cluster: shared.cluster, namespaces: shared.namespaces, changed: shared.changed, decisions: shared.decisions}
			}
			if shared != nil && !yield(shared) {
				return
			}
		}
	}
}

// change is a next state while it is made. Maps and accesses are copied before
// the first change and then belong to it. Lists are clipped then, so that appending
// moves each once and never writes into one of the state before.
type change struct {
	*compiled
	owned map[*access]bool
	now   time.Time
}

// list is one list of grants: that of an access in a workspace or namespace, which has
// no name for those on the platform or in the cluster.
type list struct {
	of *access
	in string
}

// compile makes the state of what is known now out of the one before. Its
// cost is a walk over pointers plus what has changed.
func compile(before *compiled, now iam.Rights, at time.Time) *compiled {
	if before == nil {
		before = &compiled{}
	}
	next := *before
	next.from = now
	next.visible = &rememberedNames{}
	if next.versions == nil {
		next.versions = &roleVersions{}
	}
	next.users, next.groups = before.users.changing(), before.groups.changing()
	c := &change{compiled: &next, owned: make(map[*access]bool), now: at}
	old := &before.from
	if old.GlobalRoles.Revision != now.GlobalRoles.Revision || old.WorkspaceRoles.Revision != now.WorkspaceRoles.Revision || old.Namespaces.Revision != now.Namespaces.Revision {
		next.changed = c.now
	}
	c.changeRoles(kindGlobalRole, old.GlobalRoles, now.GlobalRoles)
	c.changeRoles(kindWorkspaceRole, old.WorkspaceRoles, now.WorkspaceRoles)
	c.changeRoles(kindClusterRole, old.ClusterRoles, now.ClusterRoles)
	c.changeRoles(kindRole, old.Roles, now.Roles)
	c.changeBindings(kindGlobalRole, old.GlobalRoleBindings, now.GlobalRoleBindings)
	c.changeBindings(kindWorkspaceRole, old.WorkspaceRoleBindings, now.WorkspaceRoleBindings)
	c.changeBindings(kindClusterRole, old.ClusterRoleBindings, now.ClusterRoleBindings)
	c.changeBindings(kindRole, old.RoleBindings, now.RoleBindings)
	c.changeNamespaces(old.Namespaces, now.Namespaces)
	next.users.owned, next.groups.owned = nil, nil
	return &next
}

func (c *change) changeRoles(kind string, old, now iam.Objects[iam.Role]) {
	if old.Revision == now.Revision {
		return
	}
	c.roles, c.versions = copied(c.roles), c.versions.changing()
	iam.Changes(old, now, func(was, is *iam.Role) {
		if was != nil {
			c.versions.change(kind, was)
			delete(c.roles, roleKey{kind, was.Namespace, was.Name})
		}
		if is != nil {
			if kind == kindGlobalRole {
				is = mended(is)
			}
			c.versions.change(kind, is)
			c.roles[roleKey{kind, is.Namespace, is.Name}] = newRole(is)
		}
	})
}

func (c *change) changeBindings(kind string, old, now iam.Objects[iam.Binding]) {
	if old.Revision == now.Revision {
		return
	}
	removed, added := make(map[*iam.Binding]bool), []*iam.Binding(nil)
	iam.Changes(old, now, func(was, is *iam.Binding) {
		if was != nil && !IsMirror(was) {
			removed[was] = true
		}
		if is != nil && !IsMirror(is) {
			added = append(added, is)
		}
	})
	// Each list is gone through once, however many bindings are in it and however
	// often they name its subject.
	filtered := make(map[list]bool)
	for binding := range removed {
		c.each(kind, binding, func(at list, grants []grant, _ *roleKey) []grant {
			if filtered[at] {
				return grants
			}
			filtered[at] = true
			return slices.DeleteFunc(slices.Clone(grants), func(g grant) bool { return removed[g.binding] })
		})
	}
	for _, binding := range added {
		c.each(kind, binding, func(_ list, grants []grant, role *roleKey) []grant {
			if last := len(grants) - 1; last >= 0 && grants[last].binding == binding {
				return grants // a subject that the binding names again
			}
			return append(grants, grant{binding: binding, role: role})
		})
	}
}

// each changes what a binding gives to each of its subjects.
func (c *change) each(kind string, binding *iam.Binding, update func(list, []grant, *roleKey) []grant) {
	ref := binding.RoleRef
	role := &roleKey{kind: ref.Kind, name: ref.Name}
	switch {
	case kind == kindRole && ref.Kind == kindRole:
		role.namespace = binding.Namespace
	case kind == kindRole && ref.Kind == kindClusterRole:
	case kind == kindWorkspaceRole && binding.Workspace == "":
		return // a binding in no workspace gives nothing
	case ref.Kind != kind:
		return
	}
	for _, subject := range binding.Subjects {
		from, name := &c.users, subject.Name
		switch subject.Kind {
		case rbacv1.UserKind:
		case rbacv1.GroupKind:
			from = &c.groups
		case rbacv1.ServiceAccountKind:
			namespace := subject.Namespace
			if namespace == "" { // one in the namespace of the binding
				namespace = binding.Namespace
			}
			if namespace == "" {
				continue
			}
			name = serviceaccount.MakeUsername(namespace, subject.Name)
		default:
			continue
		}
		one := c.access(from, name)
		switch kind {
		case kindGlobalRole:
			one.platform = update(list{of: one}, one.platform, role)
		case kindClusterRole:
			one.cluster = update(list{of: one}, one.cluster, role)
		case kindWorkspaceRole:
			one.workspaces.set(binding.Workspace, update(list{one, binding.Workspace}, one.workspaces.get(binding.Workspace), role))
		case kindRole:
			one.namespaces.set(binding.Namespace, update(list{one, binding.Namespace}, one.namespaces.get(binding.Namespace), role))
		}
		if one.decisions == nil && max(len(one.workspaces.get(binding.Workspace)), len(one.namespaces.get(binding.Namespace))) > fewGrants {
			one.decisions = &decisions{}
		}
		if len(one.platform)+len(one.cluster)+one.workspaces.len()+one.namespaces.len() == 0 {
			from.remove(name)
		}
	}
}

func put[T any](lists map[string][]T, name string, now []T) {
	if len(now) == 0 {
		delete(lists, name)
		return
	}
	lists[name] = now
}

// access returns the access of a subject for writing.
func (c *change) access(from *subjects, name string) *access {
	one := from.get(name)
	if one != nil && c.owned[one] {
		return one
	}
	next := &access{changed: c.now}
	if one != nil {
		next.platform, next.cluster = slices.Clip(one.platform), slices.Clip(one.cluster)
		next.workspaces, next.namespaces = one.workspaces.clipped(), one.namespaces.clipped()
		next.decisions = one.decisions
	}
	from.set(name, next)
	c.owned[next] = true
	return next
}

func (c *change) changeNamespaces(old, now iam.Objects[iam.Namespace]) {
	if old.Revision == now.Revision {
		return
	}
	c.workspaces, c.namespaces = copied(c.workspaces), clipped(c.namespaces)
	removed, added := make(map[string]map[string]bool), []*iam.Namespace(nil)
	iam.Changes(old, now, func(was, is *iam.Namespace) {
		if was != nil && was.Workspace != "" {
			delete(c.workspaces, was.Name)
			if removed[was.Workspace] == nil {
				removed[was.Workspace] = make(map[string]bool)
			}
			removed[was.Workspace][was.Name] = true
		}
		if is != nil && is.Workspace != "" {
			added = append(added, is)
		}
	})
	for workspace, names := range removed {
		put(c.namespaces, workspace, slices.DeleteFunc(slices.Clone(c.namespaces[workspace]), func(name string) bool { return names[name] }))
	}
	for _, namespace := range added {
		c.workspaces[namespace.Name] = namespace.Workspace
		put(c.namespaces, namespace.Workspace, append(c.namespaces[namespace.Workspace], namespace.Name))
	}
}

// clipped returns a copy of lists that can be appended to.
func clipped[T any](lists map[string][]T) map[string][]T {
	next := make(map[string][]T, len(lists))
	for name, one := range lists {
		next[name] = slices.Clip(one)
	}
	return next
}
