package authz

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Visible are the names somebody may see: all but some, or some.
type Visible struct {
	All bool
	// Names may be those of other requests as well and must not be changed.
	Names sets.Set[string]
	// Except are the names that All does not include.
	Except []string

	only *rememberedOnly // nil for names that are not remembered
}

// Has reports whether a name may be seen.
func (v Visible) Has(name string) bool {
	return v.All && !slices.Contains(v.Except, name) || v.Names.Has(name)
}

// Action is what somebody wants to do to resources of a type.
type Action struct {
	Verb, Group, Resource, Subresource string
	// Name is that of one object; "" for all of them.
	Name string
}

func (a Action) by(who user.Info) *authorizer.AttributesRecord {
	return &authorizer.AttributesRecord{
		User: who, Verb: a.Verb, APIGroup: a.Group, Resource: a.Resource, Subresource: a.Subresource, Name: a.Name, ResourceRequest: true,
	}
}

// VisibleNamespaces are the namespaces in which somebody may do one of some actions on one
// resource. Who has any role in a namespace may see the namespace itself.
func (r *RBAC) VisibleNamespaces(ctx context.Context, who user.Info, actions ...Action) (Visible, error) {
	if r.All {
		return Visible{All: true}, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return Visible{}, err
	}
	var hidden []string
	for _, action := range actions {
		request := action.by(who)
		if hidden, err = r.hiddenNamespaces(ctx, request); err != nil {
			return Visible{}, err
		}
		if current.allows(Scope{Cluster: ThisCluster}, request) {
			return Visible{All: true, Except: hidden}, nil
		}
	}
	return current.visibleNames(who, slices.Clone(actions), hidden), nil // theirs stay on the stack of who sees all
}

// visibleNames are the namespaces in which somebody may do one of some actions by roles in
// workspaces and namespaces, without hidden ones.
func (c *compiled) visibleNames(who user.Info, actions []Action, hidden []string) Visible {
	return c.visible.get(namesKey(who, actions, len(hidden) > 0), func() sets.Set[string] {
		names := sets.New[string]()
		for _, action := range actions {
			c.addNamespaces(names, who, action)
		}
		return names.Delete(hidden...)
	})
}

// addNamespaces adds the namespaces in which somebody may do something by roles in
// workspaces and namespaces.
func (c *compiled) addNamespaces(names sets.Set[string], who user.Info, action Action) {
	query := ruleQuery{request: action.by(who)}
	itself := action.Resource == "namespaces" && action.Subresource == ""
	for one := range c.accesses(who) {
		for workspace, grants := range one.workspaces.all() {
			if c.allowedIn(one, placeKey{kindWorkspaceRole, workspace}, grants, &query) {
				names.Insert(c.namespaces[workspace]...)
			}
		}
		for namespace, grants := range one.namespaces.all() {
			place := placeKey{kindRole, namespace}
			if itself && c.existsIn(one, place, grants) || c.allowedIn(one, place, grants, &query) {
				names.Insert(namespace)
			}
		}
	}
}

// VisibleWorkspaces are the workspaces somebody has a role in, or all for who
// may list them on the platform.
func (r *RBAC) VisibleWorkspaces(ctx context.Context, who user.Info) (Visible, error) {
	if r.All {
		return Visible{All: true}, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return Visible{}, err
	}
	if current.allows(Scope{}, Action{Verb: "list", Group: "tenant.kubesphere.io", Resource: "workspaces"}.by(who)) {
		return Visible{All: true}, nil
	}
	names := sets.New[string]()
	for one := range current.accesses(who) {
		for workspace, grants := range one.workspaces.all() {
			if current.existsIn(one, placeKey{kindWorkspaceRole, workspace}, grants) {
				names.Insert(workspace)
			}
		}
	}
	return Visible{Names: names}, nil
}

// allowedBy reports whether one of the grants of a subject in one place permits a request.
func (c *compiled) allowedBy(grants []grant, query *ruleQuery) bool {
	var roles distinct
	for _, g := range grants {
		if roles.isNew(*g.role) && c.permits(g, query) {
			return true
		}
	}
	return false
}

// exists reports whether one of the grants is of a role that is there.
func (c *compiled) exists(grants []grant) bool {
	for _, g := range grants {
		if _, found := c.role(g); found {
			return true
		}
	}
	return false
}

// RoleNames are the roles somebody was given in a scope, in the order of their
// names, without those of wider scopes.
func (r *RBAC) RoleNames(ctx context.Context, who user.Info, scope Scope) ([]string, error) {
	current, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	names := sets.New[string]()
	for one := range current.accesses(who) {
		grants := one.platform
		switch {
		case scope.Namespace != "":
			grants = one.namespaces.get(scope.Namespace)
		case scope.Workspace != "":
			grants = one.workspaces.get(scope.Workspace)
		case scope.Cluster != "":
			grants = one.cluster
		}
		for _, g := range grants {
			names.Insert(g.role.name)
		}
	}
	return sets.List(names), nil
}

// Somewhere reports whether somebody may do something in any place at all.
func (r *RBAC) Somewhere(ctx context.Context, who user.Info, action Action) (bool, error) {
	if r.All {
		return true, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return false, err
	}
	query := ruleQuery{request: action.by(who)}
	for one := range current.accesses(who) {
		if current.allowedBy(one.platform, &query) || current.allowedBy(one.cluster, &query) {
			return true, nil
		}
		for kind, places := range map[string]*placed{kindWorkspaceRole: &one.workspaces, kindRole: &one.namespaces} {
			for name, grants := range places.all() {
				if current.allowedIn(one, placeKey{kind, name}, grants, &query) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}
