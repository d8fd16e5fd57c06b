package authz

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// Source provides roles, bindings and namespaces. *iam.Directory is one.
type Source interface {
	Rights(ctx context.Context) (iam.Rights, error)
}

// RBAC decides by the roles of the platform, of workspaces, of the cluster and
// of namespaces. It implements authorizer.UnconditionalAuthorizer: a request no
// rule permits gets no opinion, which means it is denied.
type RBAC struct {
	Source Source
	// All means that everybody may do everything; nothing is read then.
	All bool
	// Platform is what only administrators of the platform reach; nil for nothing.
	Platform *Platform
	// Now is the time that changes are noted with; nil for that of the system.
	Now func() time.Time

	compiled atomic.Pointer[compiled]
	warming  atomic.Bool
	mu       sync.Mutex
	turn     turn
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (r *RBAC) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if r.All {
		return authorizer.DecisionAllow, "", nil
	}
	// Decisions beside that about the request itself are within the scopes, too.
	if decision, reason, err := (Scoped{}).Authorize(ctx, a); err != nil || decision == authorizer.DecisionDeny {
		return authorizer.DecisionNoOpinion, reason, err
	}
	// Pods, services and nodes answer and act for who is known alone, whatever roles visitors have.
	if isVisitor(a.GetUser()) && connects(a.GetVerb(), a.GetSubresource()) {
		return authorizer.DecisionNoOpinion, visitorReason, nil
	}
	current, err := r.current(ctx)
	if err != nil {
		return authorizer.DecisionNoOpinion, "", err
	}
	scope := scopeOf(a)
	if r.Platform.Owns(a) {
		switch {
		case isClusterGateway(a):
			scope = Scope{Cluster: ThisCluster}
		case IsLimited(a.GetUser()) || !current.administers(a.GetUser()):
			return authorizer.DecisionNoOpinion, PlatformReason, nil
		}
	}
	if current.allows(scope, a) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (c *compiled) allows(scope Scope, a authorizer.Attributes) bool {
	query := ruleQuery{request: a}
	workspace := c.workspaceOf(scope)
	for one := range c.accesses(a.GetUser()) {
		if c.allowedBy(one.platform, &query) {
			return true
		}
		if scope == (Scope{}) {
			continue
		}
		if c.allowedBy(one.cluster, &query) ||
			workspace != "" && c.allowedIn(one, placeKey{kindWorkspaceRole, workspace}, one.workspaces.get(workspace), &query) ||
			scope.Namespace != "" && c.allowedIn(one, placeKey{kindRole, scope.Namespace}, one.namespaces.get(scope.Namespace), &query) {
			return true
		}
	}
	return false
}

// permits reports whether the role of a grant permits a request.
func (c *compiled) permits(g grant, query *ruleQuery) bool {
	role, found := c.role(g)
	return found && role.permits(query, g.role.kind == kindGlobalRole)
}

// distinct tells roles that further bindings give again from others, so that a role that
// a thousand bindings give is compared once. The first few are compared again.
type distinct struct {
	count int
	seen  map[roleKey]bool
}

func (d *distinct) isNew(role roleKey) bool {
	const few = 8
	if d.count++; d.count <= few {
		return true
	}
	if d.seen == nil {
		d.seen = make(map[roleKey]bool)
	}
	known := d.seen[role]
	d.seen[role] = true
	return !known
}

// permits reports whether one of the rules of a role permits a request. Everything
// on the platform includes powers.
func permits(rules []rbacv1.PolicyRule, a authorizer.Attributes, onPlatform bool) bool {
	for n := range rules {
		if rule := &rules[n]; allows(rule, a) && permitsAllowed(rule, a, onPlatform) {
			return true
		}
	}
	return false
}

// permitsAllowed reports whether a rule that allows a request as Kubernetes decides
// permits it here.
func permitsAllowed(rule *rbacv1.PolicyRule, a authorizer.Attributes, onPlatform bool) bool {
	return permitsRead(rule, a) && (!withholds(rule, a) || onPlatform && isEverything(rule))
}

// Ready reports why decisions would have to wait: all roles and bindings are put together
// for the first of them, which may take seconds. It begins with that.
func (r *RBAC) Ready() error {
	if r.All || r.compiled.Load() != nil {
		return nil
	}
	if r.warming.CompareAndSwap(false, true) {
		go func() {
			defer r.warming.Store(false)
			_, _ = r.current(context.Background()) // an error is that of the caches, which say so
		}()
	}
	return errors.New("the roles and bindings are being read")
}

// current is the state of everything as it is known now.
func (r *RBAC) current(ctx context.Context) (*compiled, error) {
	now, err := r.Source.Rights(ctx)
	if err != nil {
		return nil, err
	}
	if known := r.compiled.Load(); known != nil && known.from.Same(&now) {
		return known, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// Asked for again: who waited for the lock must not go back in time.
	if now, err = r.Source.Rights(ctx); err != nil {
		return nil, err
	}
	known := r.compiled.Load()
	if known != nil && known.from.Same(&now) {
		return known, nil
	}
	at := time.Now
	if r.Now != nil {
		at = r.Now
	}
	next := compile(known, now, at())
	r.compiled.Store(next)
	return next, nil
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

// PublicReads permits everybody to read at paths, and nothing else there.
type PublicReads []string

// Authorize implements authorizer.UnconditionalAuthorizer.
func (p PublicReads) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if slices.Contains(p, a.GetPath()) && slices.Contains([]string{"get", "list", "head"}, a.GetVerb()) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// AnyOf asks authorizers in order. The first that permits or denies decides, and an error
// ends it.
type AnyOf []authorizer.UnconditionalAuthorizer

// Authorize implements authorizer.UnconditionalAuthorizer.
func (all AnyOf) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	why := ""
	for _, one := range all {
		decision, reason, err := one.Authorize(ctx, a)
		if err != nil || decision != authorizer.DecisionNoOpinion {
			return decision, reason, err
		}
		why = cmp.Or(why, reason)
	}
	return authorizer.DecisionNoOpinion, why, nil
}

// IsAnonymous reports whether a request came without credentials.
func IsAnonymous(who user.Info) bool { return who == nil || who.GetName() == user.Anonymous }
