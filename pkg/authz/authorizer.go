package authz

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// Roles provides roles and bindings.
type Roles interface {
	GlobalRoles(ctx context.Context) (iam.Objects[iamv1alpha2.GlobalRole], error)
	GlobalRoleBindings(ctx context.Context) (iam.Objects[iamv1alpha2.GlobalRoleBinding], error)
}

// RBAC decides by global roles. It implements authorizer.UnconditionalAuthorizer: a request
// no rule permits gets no opinion, which means it is denied.
type RBAC struct {
	Roles Roles

	compiled atomic.Pointer[compiled]
	mu       sync.Mutex
}

// compiled are the rules of every subject, of one state of roles and bindings.
type compiled struct {
	roles, bindings uint64 // revisions
	users, groups   map[string][]*rbacv1.PolicyRule
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (r *RBAC) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	current, err := r.current(ctx)
	if err != nil {
		return authorizer.DecisionNoOpinion, "", err
	}
	if current.allows(a) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (c *compiled) allows(a authorizer.Attributes) bool {
	who := a.GetUser()
	if who == nil {
		return false
	}
	for _, rule := range c.users[who.GetName()] {
		if allows(rule, a) {
			return true
		}
	}
	for _, group := range who.GetGroups() {
		for _, rule := range c.groups[group] {
			if allows(rule, a) {
				return true
			}
		}
	}
	return false
}

func (r *RBAC) current(ctx context.Context) (*compiled, error) {
	roles, err := r.Roles.GlobalRoles(ctx)
	if err != nil {
		return nil, err
	}
	bindings, err := r.Roles.GlobalRoleBindings(ctx)
	if err != nil {
		return nil, err
	}
	fresh := func(c *compiled) bool {
		return c != nil && c.roles >= roles.Revision && c.bindings >= bindings.Revision
	}
	if known := r.compiled.Load(); fresh(known) {
		return known, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.compiled.Load(); fresh(known) {
		return known, nil
	}
	next := compile(roles, bindings)
	r.compiled.Store(next)
	return next, nil
}

func compile(roles iam.Objects[iamv1alpha2.GlobalRole], bindings iam.Objects[iamv1alpha2.GlobalRoleBinding]) *compiled {
	result := &compiled{
		roles: roles.Revision, bindings: bindings.Revision,
		users: make(map[string][]*rbacv1.PolicyRule), groups: make(map[string][]*rbacv1.PolicyRule),
	}
	byName := make(map[string]*iamv1alpha2.GlobalRole, len(roles.Items))
	for _, role := range roles.Items {
		byName[role.Name] = role
	}
	for _, binding := range bindings.Items {
		role := byName[binding.RoleRef.Name]
		if role == nil || binding.RoleRef.Kind != "GlobalRole" {
			continue // a binding to a missing role gives nothing
		}
		for _, subject := range binding.Subjects {
			into, name := result.users, subject.Name
			switch subject.Kind {
			case rbacv1.UserKind:
			case rbacv1.GroupKind:
				into = result.groups
			case rbacv1.ServiceAccountKind:
				name = serviceaccount.MakeUsername(subject.Namespace, subject.Name)
			default:
				continue
			}
			for n := range role.Rules {
				into[name] = append(into[name], &role.Rules[n])
			}
		}
	}
	return result
}

// Public permits the paths everybody may use, logged in or not. A path that
// ends in a slash permits everything below it.
type Public []string

// Authorize implements authorizer.UnconditionalAuthorizer.
func (p Public) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	for _, path := range p {
		if a.GetPath() == path || strings.HasSuffix(path, "/") && strings.HasPrefix(a.GetPath(), path) {
			return authorizer.DecisionAllow, "", nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// AnyOf permits what one of several authorizers permits; they are asked in order.
type AnyOf []authorizer.UnconditionalAuthorizer

// Authorize implements authorizer.UnconditionalAuthorizer.
func (all AnyOf) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	for _, one := range all {
		if decision, reason, err := one.Authorize(ctx, a); err != nil || decision != authorizer.DecisionNoOpinion {
			return decision, reason, err
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// IsAnonymous reports whether a request came without credentials.
func IsAnonymous(who user.Info) bool { return who == nil || who.GetName() == user.Anonymous }
