package mirror

import (
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// State is what mirrors are wanted and which are there. It is changed along with the roles,
// so that a change costs a walk over pointers and the workspace it is in. The zero value
// knows nothing.
type State struct {
	// Fair bounds the bindings of one workspace in the changes of one call, so that those of
	// other workspaces do not wait for all of them; 0 for no bound.
	Fair int
	// Refused reports whether Kubernetes has refused the last change of a binding; nil for
	// none. Nothing waits for those, and they are left out unless Retry says otherwise.
	Refused func(types.NamespacedName) bool
	// Retry reports whether a change that was refused is made again now, and is asked once
	// for each of them in a call.
	Retry func(types.NamespacedName) bool

	large  rate.Sometimes
	source Source // that it is of
	roles  map[string]*iam.Role
	// workspaces are those with roles that somebody has, or with namespaces.
	workspaces map[string]*workspace
	// named are the ClusterRoles of the roles of workspaces.
	named map[*iam.Role]string
	rules map[string][]rbacv1.PolicyRule // of ClusterRoles of workspaces, by name
	used  map[string]int                 // how many workspaces use a ClusterRole
	// wanted and present are bindings in namespaces; those in differing may differ.
	wanted    map[types.NamespacedName]Binding
	present   map[types.NamespacedName]*iam.Binding
	differing map[types.NamespacedName]bool
	homes     map[string]*iam.Namespace
	// waiting are workspaces that have changed and are mirrored when their changes before are
	// made: roles that change faster than that would leave a ClusterRole each time.
	waiting map[string]bool
	builder builder
}

// workspace is one as it was mirrored last.
type workspace struct {
	bindings   map[*iam.Binding]bool
	namespaces map[string]bool
	wanted     map[types.NamespacedName]Binding
	changing   map[types.NamespacedName]bool // what differed from what was wanted before
}

// Changes returns what makes the mirrors that are there the wanted ones of a source.
func (s *State) Changes(source Source) Changes {
	for name := range s.advance(source) {
		s.waiting[name] = true
	}
	s.settle()
	for name := range s.waiting {
		if !s.busy(name) {
			delete(s.waiting, name)
			s.mirror(name)
		}
	}
	s.settle()
	c := s.difference()
	c.Partial = c.Partial || len(s.waiting) > 0
	return c
}

// busy reports whether some of the last changes of a workspace are not made yet.
func (s *State) busy(name string) bool {
	one := s.workspaces[name]
	if one == nil || s.Fair == 0 {
		return false
	}
	for key := range one.changing {
		if _, can := s.pending(key); can && s.differing[key] && (s.Refused == nil || !s.Refused(key)) {
			return true
		}
	}
	return false
}

// pending returns the workspace of a binding, and whether something can be changed there:
// what is in a namespace that is being deleted goes with it.
func (s *State) pending(key types.NamespacedName) (home string, can bool) {
	namespace := s.homes[key.Namespace]
	if namespace == nil {
		return "", true
	}
	return namespace.Workspace, !namespace.Terminating
}

// settle forgets what does not differ any more.
func (s *State) settle() {
	for key := range s.differing {
		want, wanted := s.wanted[key]
		is := s.present[key]
		if is == nil && !wanted || is != nil && wanted && want.is(is) || is != nil && !wanted && !authz.IsMirror(is) {
			delete(s.differing, key)
		}
	}
}

// advance goes over to a source, and returns the workspaces that may be mirrored in another
// way. Everything is made anew when the cluster serves other resources, since this changes
// all rules.
func (s *State) advance(source Source) map[string]bool {
	if s.workspaces == nil || !slices.Equal(s.source.Served, source.Served) {
		*s = State{
			Fair: s.Fair, Refused: s.Refused, Retry: s.Retry, large: rate.Sometimes{First: 3, Interval: time.Minute}, homes: make(map[string]*iam.Namespace),
			roles: make(map[string]*iam.Role), workspaces: make(map[string]*workspace), named: make(map[*iam.Role]string), rules: make(map[string][]rbacv1.PolicyRule), used: make(map[string]int),
			waiting: make(map[string]bool), wanted: make(map[types.NamespacedName]Binding), present: make(map[types.NamespacedName]*iam.Binding), differing: make(map[types.NamespacedName]bool),
		}
	}
	before := s.source
	s.source = source
	s.builder = builder{source: source, known: make(map[string]string), large: &s.large, Mirrors: Mirrors{ClusterRoles: s.rules}}
	changed := make(map[string]bool)
	iam.Changes(before.Rights.WorkspaceRoles, source.Rights.WorkspaceRoles, func(was, is *iam.Role) {
		for _, role := range []*iam.Role{was, is} {
			switch {
			case role == nil:
			case role.Workspace != "":
				changed[role.Workspace] = true
			default: // it counts in all
				for name := range s.workspaces {
					changed[name] = true
				}
			}
		}
		if was != nil {
			delete(s.named, was)
			delete(s.roles, was.Name)
		}
		if is != nil {
			s.roles[is.Name] = is
		}
	})
	iam.Changes(before.Rights.WorkspaceRoleBindings, source.Rights.WorkspaceRoleBindings, func(was, is *iam.Binding) {
		if was != nil {
			delete(s.workspace(was.Workspace).bindings, was)
			changed[was.Workspace] = true
		}
		if is != nil {
			s.workspace(is.Workspace).bindings[is] = true
			changed[is.Workspace] = true
		}
	})
	iam.Changes(before.Rights.Namespaces, source.Rights.Namespaces, func(was, is *iam.Namespace) {
		if is != nil {
			s.homes[is.Name] = is
		} else {
			delete(s.homes, was.Name)
		}
		if was != nil {
			delete(s.workspace(was.Workspace).namespaces, was.Name)
			changed[was.Workspace] = true
		}
		if is != nil {
			s.workspace(is.Workspace).namespaces[is.Name] = true
			changed[is.Workspace] = true
		}
	})
	for name := range s.workspaces {
		if before.UIDs[name] != source.UIDs[name] {
			changed[name] = true
		}
	}
	iam.Changes(before.Rights.RoleBindings, source.Rights.RoleBindings, func(was, is *iam.Binding) {
		one := is
		if one == nil {
			one = was
		}
		if !strings.HasPrefix(one.Name, prefix) {
			return
		}
		key := types.NamespacedName{Namespace: one.Namespace, Name: one.Name}
		s.differing[key] = true
		if is == nil {
			delete(s.present, key)
		} else {
			s.present[key] = is
		}
	})
	return changed
}

func (s *State) workspace(name string) *workspace {
	one := s.workspaces[name]
	if one == nil {
		one = &workspace{bindings: make(map[*iam.Binding]bool), namespaces: make(map[string]bool)}
		s.workspaces[name] = one
	}
	return one
}

// mirror makes what is wanted of a workspace anew.
func (s *State) mirror(name string) {
	one := s.workspaces[name]
	if one == nil {
		return
	}
	before := one.wanted
	one.wanted, one.changing = s.bindings(name, one), make(map[types.NamespacedName]bool)
	for role := range rolesOf(before) {
		if s.used[role]--; s.used[role] == 0 {
			delete(s.used, role)
		}
	}
	for role := range rolesOf(one.wanted) {
		s.used[role]++
	}
	for key, binding := range before {
		if one.wanted[key] == binding {
			continue
		}
		if s.wanted[key] == binding { // else another workspace has the namespace already
			delete(s.wanted, key)
		}
		s.differing[key], one.changing[key] = true, true
	}
	for key, binding := range one.wanted {
		if before[key] != binding {
			s.wanted[key] = binding
			s.differing[key], one.changing[key] = true, true
		}
	}
	if len(one.bindings) == 0 && len(one.namespaces) == 0 {
		delete(s.workspaces, name)
	}
}

func rolesOf(bindings map[types.NamespacedName]Binding) map[string]bool {
	roles := make(map[string]bool)
	for _, binding := range bindings {
		roles[binding.Role] = true
	}
	return roles
}

// bindings are those wanted in the namespaces of a workspace.
func (s *State) bindings(name string, one *workspace) map[types.NamespacedName]Binding {
	wanted := make(map[types.NamespacedName]Binding)
	if name == "" {
		return wanted
	}
	given := make(map[string]string)
	for binding := range one.bindings {
		role := s.roles[binding.RoleRef.Name]
		if !gives(binding, role) {
			continue
		}
		clusterRole, known := s.named[role]
		if !known {
			clusterRole = s.builder.clusterRole(role.Rules, true)
			s.named[role] = clusterRole
		}
		if clusterRole != "" {
			given[role.Name] = clusterRole
		}
	}
	for namespace := range one.namespaces {
		if s.source.Names.IsPlatformNamespace(namespace) {
			continue
		}
		for role, clusterRole := range given {
			wanted[bindingKey(namespace, role, clusterRole)] = Binding{Role: clusterRole, Group: authz.WorkspaceGroup(name, s.source.UIDs[name], role)}
		}
	}
	return wanted
}

// difference returns the changes of what differs. Roles and bindings of the cluster are
// few, and are gone through each time.
func (s *State) difference() Changes {
	global := builder{source: s.source, known: make(map[string]string), large: &s.large, Mirrors: Mirrors{ClusterRoles: make(map[string][]rbacv1.PolicyRule), ClusterBindings: make(map[string]Binding)}}
	global.global()
	for role := range s.used {
		global.ClusterRoles[role] = s.rules[role]
	}
	for role := range s.rules {
		if s.used[role] == 0 {
			delete(s.rules, role)
			maps.DeleteFunc(s.named, func(_ *iam.Role, name string) bool { return name == role })
		}
	}
	c := differenceInCluster(global.Mirrors, s.source.Rights)
	c.CreateBindings = make(map[types.NamespacedName]Binding)
	taken := newFairness(s)
	for key := range s.differing {
		want, wanted := s.wanted[key]
		if !wanted || !taken.take(key) {
			continue
		}
		if s.present[key] != nil {
			c.ReplaceBindings = append(c.ReplaceBindings, key)
		}
		c.CreateBindings[key] = want
	}
	// What a binding takes the place of goes after all of the workspace are made.
	for key := range s.differing {
		if _, wanted := s.wanted[key]; !wanted && taken.take(key) {
			c.DeleteBindings = append(c.DeleteBindings, key)
		}
	}
	c.Partial, c.Refused = taken.partial, taken.refused
	c.DeleteRoles = slices.DeleteFunc(c.DeleteRoles, func(role string) bool { return taken.giving[role] })
	return c
}
