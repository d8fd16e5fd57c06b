package extensions

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// refreshEvery is how often is looked whether the objects changed: two loads of
// memory when they did not.
const refreshEvery = 200 * time.Millisecond

// An identity assertion is valid for a while, so that it need not be made for
// each request, and outlives a request that waits for its back end.
const (
	assertionLifetime = 5 * time.Minute
	assertionReuse    = time.Minute
	assertionsKept    = 4096
)

// Tokens sign who sent a request.
type Tokens interface {
	IssueIdentity(token.Assertion) (string, error)
}

// Registry knows which parts of the API are served by others.
type Registry struct {
	cache      *objects.Cache
	services   *objects.Type // Kubernetes' Services
	apis       *objects.Type
	proxies    *objects.Type
	tokens     Tokens
	now        func() time.Time
	assertions *utilcache.LRUExpireCache
	// Allowed, unless nil, says of a request that lasts why it may not go on. It is
	// set before anything is served.
	Allowed func(*http.Request) error
	// Revision identifies the state Allowed decides by, see request.Reauthorization.
	Revision func(context.Context) any

	table atomic.Pointer[table]
	// changed tells Documents that there is another table.
	changed chan struct{}
}

// New returns a registry that knows nothing before Run is called.
func New(cache *objects.Cache, catalog *objects.Catalog, tokens Tokens, now func() time.Time) *Registry {
	return &Registry{
		cache: cache, services: catalog.Type("services"), apis: catalog.Type("apiservices"), proxies: catalog.Type("reverseproxies"),
		tokens: tokens, now: now, assertions: utilcache.NewLRUExpireCache(assertionsKept), changed: make(chan struct{}, 1),
	}
}

// Pinned are the types whose objects always have to be known.
func Pinned() []string { return []string{"apiservices", "reverseproxies"} }

// Ready reports why it is not known yet what others serve.
func (r *Registry) Ready() error {
	if r.table.Load() == nil {
		return errors.New("the objects of extensions.kubesphere.io are not read yet")
	}
	return nil
}

// Run follows the objects until the context ends.
func (r *Registry) Run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	var tags [2]string
	for {
		if now, err := r.refresh(ctx, tags); err == nil {
			tags = now
		} else if ctx.Err() == nil {
			slog.DebugContext(ctx, "the objects of extensions.kubesphere.io cannot be read", "reason", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// refresh makes a new table if an object changed since the states with some tags.
func (r *Registry) refresh(ctx context.Context, before [2]string) ([2]string, error) {
	apis, err := r.cache.View(ctx, r.apis)
	if err != nil {
		return before, err
	}
	proxies, err := r.cache.View(ctx, r.proxies)
	if err != nil {
		return before, err
	}
	tags := [2]string{apis.Tag(), proxies.Tag()}
	if tags == before {
		return before, nil
	}
	claims, rejected := claimsOf(decode[v1alpha1.APIService](ctx, apis.Snapshot), decode[v1alpha1.ReverseProxy](ctx, proxies.Snapshot))
	old := r.table.Load()
	backends := make([]*backend, 0, len(claims))
	kept := make(map[*backend]bool)
	for _, c := range claims {
		if old != nil {
			if b := old.byID[c.id()]; b != nil && b.same(c) {
				backends, kept[b] = append(backends, b), true
				continue
			}
		}
		b, err := newBackend(c, r, leftAlone)
		if err != nil {
			rejected[c.id()] = err.Error()
			continue
		}
		backends = append(backends, b)
	}
	r.table.Store(newTable(backends, rejected))
	if old != nil {
		for _, b := range old.backends {
			if !kept[b] {
				b.close()
			}
		}
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return tags, nil
}

// decode reads all objects of a state. One that cannot be read is left out: the
// others still count.
func decode[T any](ctx context.Context, state *objects.Snapshot) []T {
	all := make([]T, 0, state.Len())
	for item := range state.All {
		var one T
		if err := json.Unmarshal([]byte(item.JSON()), &one); err != nil {
			slog.WarnContext(ctx, "an object cannot be read", "name", item.Name(), "error", err)
			continue
		}
		all = append(all, one)
	}
	return all
}

// ServesPath reports whether an APIService serves a path.
func (r *Registry) ServesPath(path string) bool {
	t := r.table.Load()
	if t == nil || len(t.backends) == 0 {
		return false
	}
	b := t.find("", path)
	return b != nil && b.kind == kindAPIService
}

// For returns what serves a request, nil when it is nobody registered. Whoever
// calls it serves what belongs to this server itself.
func (r *Registry) For(q *http.Request) http.Handler {
	t := r.table.Load()
	if t == nil || len(t.backends) == 0 {
		return nil
	}
	path := q.URL.Path
	if request.IsOpaque(q.URL) {
		path = q.URL.EscapedPath() // what is claimed has to be there as it is written
	}
	b := t.find(q.Method, path)
	if b == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if info := request.InfoFrom(q.Context()); info == nil || info.Cluster != "" {
			status.Write(w, q, status.NotFound("the server does not have the path %s", q.URL.Path))
			return
		}
		assertion, err := r.assertion(q, b)
		if err != nil {
			status.Write(w, q, err)
			return
		}
		q, stop := r.whileAllowed(q, request.ReauthorizeInterval)
		defer stop()
		b.serve(w, q, assertion)
	})
}

// Serves reports whether a back end serves GET requests for a path.
func (r *Registry) Serves(path string) bool {
	t := r.table.Load()
	return t != nil && t.find(http.MethodGet, path) != nil
}

// assertion says to a back end who sent a request.
func (r *Registry) assertion(q *http.Request, b *backend) (string, error) {
	who, found := kuberequest.UserFrom(q.Context())
	if !found {
		return "", status.Unauthorized("Unauthorized: this needs credentials")
	}
	groups := kube.SendableGroups(who.GetName(), who.GetGroups())
	key := b.id() + "\x00" + who.GetName()
	for _, group := range groups {
		key += "\x00" + group
	}
	if known, found := r.assertions.Get(key); found {
		return known.(string), nil
	}
	text, err := r.tokens.IssueIdentity(token.Assertion{User: who.GetName(), Groups: groups, Audience: b.id(), Lifetime: assertionLifetime})
	if errors.Is(err, token.ErrNotReady) {
		return "", status.Unavailable(1, "the server is starting")
	}
	if err == nil {
		r.assertions.Add(key, text, assertionReuse)
	}
	return text, err
}

// Open reports how many back ends are left alone for a moment, since they could not be reached.
func (r *Registry) Open() float64 {
	t, open := r.table.Load(), 0
	if t == nil {
		return 0
	}
	for _, b := range t.backends {
		if b.breaker.State() == gobreaker.StateOpen {
			open++
		}
	}
	return float64(open)
}
