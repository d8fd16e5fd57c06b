package secondlock

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// Rights knows the roles of users.
type Rights interface {
	// RoleGroups returns the groups that stand for the roles of a user that count in a
	// scope. uid returns the UID of a workspace.
	RoleGroups(ctx context.Context, who user.Info, scope authz.Scope, uid func(workspace string) string) ([]string, error)
	// Covers returns what of some rules the roles of a user lack in a scope.
	Covers(ctx context.Context, who user.Info, scope authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error)
	// ChangedAt returns when the rights of a user may have changed last.
	ChangedAt(ctx context.Context, who user.Info) (time.Time, error)
}

// Options are what a Lock is made of; all but Prefix are needed.
type Options struct {
	Rights Rights
	// UID returns the UID of a workspace, "" for none.
	UID func(ctx context.Context, workspace string) string
	Now func() time.Time
	// Starting reports whether kube-apiserver is not ready, which then refuses everything.
	Starting func(ctx context.Context) bool

	// Prefix is the path of Kubernetes' address, before those of its API.
	Prefix string

	// Review asks Kubernetes whether it permits something to the caller and the identity of
	// a context.
	Review func(ctx context.Context, action authorizationv1.ResourceAttributes) (bool, error)
}

// Lock says whom requests to Kubernetes are made as.
type Lock struct {
	Options

	disagreements atomic.Uint64
	shown         rate.Sometimes // in the log
	agreements    *cache.LRUExpireCache
}

// New returns a lock.
func New(options Options) *Lock {
	return &Lock{Options: options, agreements: cache.NewLRUExpireCache(maxRemembered), shown: rate.Sometimes{First: 10, Interval: time.Second}}
}

// Forwarded returns whom a request of a client for Kubernetes is made as: its sender, or
// this server where only the platform's rules are about what is written, which is its own
// types and new namespaces.
func (l *Lock) Forwarded(ctx context.Context, info *request.Info, who user.Info) (kube.Identity, error) {
	resource := resourceOf(info)
	return l.identity(ctx, info, who, writes(info) && authz.IsWrittenByServer(resource) || resource == namespaces && info.Verb == "create" && info.Subresource == "")
}

// Handled returns whom a request to Kubernetes is made as that a handler of this server
// makes for a user. This server makes those about its own types, namespaces, roles and
// bindings, whose rules the handler has applied, and reads of all that is not secret: a
// handler looks at more than it shows. A handler says by kube.AsServer what else it does.
// Who holds everything in the cluster writes its roles and bindings alone: this server
// gives nobody everything.
func (l *Lock) Handled(r *http.Request, who user.Info) (kube.Identity, error) {
	info, err := l.parse(r)
	if err != nil {
		return kube.Identity{}, err
	}
	resource := resourceOf(info)
	if info.APIGroup == rbacv1.GroupName && info.Namespace == "" && writes(info) {
		missing, err := l.Rights.Covers(r.Context(), who, authz.Scope{Cluster: authz.ThisCluster}, everything)
		if err != nil || len(missing) == 0 {
			identity, failed := l.identity(r.Context(), info, who, false)
			return identity, errors.Join(err, failed)
		}
	}
	if authz.IsWrittenByServer(resource) || resource == namespaces || info.APIGroup == rbacv1.GroupName ||
		resource == quotas || !writes(info) && !connects(info) && resource != secrets {
		return kube.Identity{Own: true}, nil
	}
	return l.identity(r.Context(), info, who, false)
}

func (l *Lock) identity(ctx context.Context, info *request.Info, who user.Info, own bool) (kube.Identity, error) {
	return l.identityIn(ctx, who, authz.ScopeOf(info), own)
}

func (l *Lock) identityIn(ctx context.Context, who user.Info, scope authz.Scope, own bool) (kube.Identity, error) {
	groups, err := l.Rights.RoleGroups(ctx, who, scope, func(workspace string) string { return l.UID(ctx, workspace) })
	if err != nil {
		return kube.Identity{}, err
	}
	administers := len(groups) == 1 && groups[0] == authz.AdministratorsGroup
	return kube.Identity{Groups: groups, Own: own && !administers}, nil
}

var (
	everything = []rbacv1.PolicyRule{{APIGroups: []string{rbacv1.APIGroupAll}, Resources: []string{rbacv1.ResourceAll}, Verbs: []string{rbacv1.VerbAll}}}
	namespaces = schema.GroupResource{Resource: "namespaces"}
	secrets    = schema.GroupResource{Resource: "secrets"}
	// quotas in projects are parts of that of the workspace, which this server distributes.
	quotas = schema.GroupResource{Resource: "resourcequotas"}
)

func writes(info *request.Info) bool {
	switch info.Verb {
	case "get", "list", "watch":
		return false
	}
	return info.IsResourceRequest
}

// connects reports whether a request opens a connection into a pod, by whatever verb.
func connects(info *request.Info) bool {
	switch info.Subresource {
	case "exec", "attach", "portforward", "proxy":
		return true
	}
	return false
}

func resourceOf(info *request.Info) schema.GroupResource {
	return schema.GroupResource{Group: info.APIGroup, Resource: info.Resource}
}
