package session

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Registry knows which sessions go on, from the list engine's cache.
type Registry struct {
	Cache *objects.Cache
	Kind  *objects.Type
	// Client is asked for sessions the cache does not have yet: another
	// replica may just have created them.
	Client client.Client

	recent *utilcache.LRUExpireCache
}

// recentSessions bounds how many answers are remembered, and recentFor how
// long: the cache will have caught up by then.
const (
	recentSessions = 4096
	recentFor      = time.Second
)

// NewRegistry returns a registry.
func NewRegistry(cache *objects.Cache, kind *objects.Type, reader client.Client) *Registry {
	return &Registry{Cache: cache, Kind: kind, Client: reader, recent: utilcache.NewLRUExpireCache(recentSessions)}
}

// Active reports whether the session with an ID, the name of its object, goes
// on. A session that was deleted has ended.
func (r *Registry) Active(ctx context.Context, id string) (bool, error) {
	view, err := r.Cache.View(ctx, r.Kind)
	if err != nil {
		return false, err
	}
	if item := view.Get("", id); item != nil {
		return !item.Field("spec.revoked").Bool(), nil
	}
	if known, found := r.recent.Get(id); found {
		return known.(bool), nil
	}
	session := &iamv1alpha2.Session{}
	err = r.Client.Get(ctx, client.ObjectKey{Name: id}, session)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, err
	}
	active := err == nil && !session.Spec.Revoked
	r.recent.Add(id, active, recentFor)
	return active, nil
}
