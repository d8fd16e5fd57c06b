package session

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/lookups"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Lookups bounds how often Kubernetes is asked about the sessions and devices that
// refresh tokens, codes and cookies name. The cache, which has no secrets, knows
// which sessions there are.
type Lookups struct {
	cache                   *objects.Cache
	kind                    *objects.Type
	known, unknown, devices *lookups.Limiter
}

// NewLookups returns the bounds of lookups of sessions, which are a type of the cache.
func NewLookups(cache *objects.Cache, sessions *objects.Type) *Lookups {
	return &Lookups{
		cache: cache, kind: sessions, unknown: lookups.New(lookups.Unknown()),
		// Who knows a session has had a token of it: no more than a share of it is taken from
		// the others. A client refreshes every hour, and after an answer it lost.
		known: lookups.New(lookups.Bounds{SharePerSecond: 5, ShareAtOnce: 20}),
		// Devices ask every five seconds, many behind one address.
		devices: lookups.New(lookups.Bounds{PerSecond: 50, AtOnce: 100, SharePerSecond: 10, ShareAtOnce: 30}),
	}
}

// session fails with 429 if the session with a name may not be looked up now.
func (l *Lookups) session(ctx context.Context, name string) error {
	if l == nil {
		return nil
	}
	view, err := l.cache.View(ctx, l.kind)
	if err != nil {
		return err
	}
	if item := view.Get("", name); item != nil {
		return l.known.Take(ctx, item.Field("spec.user").String())
	}
	return l.unknown.Take(ctx, "")
}

// device fails with 429 if a device may not be looked up now.
func (l *Lookups) device(ctx context.Context) error {
	if l == nil {
		return nil
	}
	return l.devices.Take(ctx, "")
}

// read reads the object a client named, or fails with ErrInvalid if there is none.
func (s *Sessions) read(ctx context.Context, name string, into client.Object) error {
	err := s.Client.Get(ctx, client.ObjectKey{Name: name}, into)
	if apierrors.IsNotFound(err) {
		return ErrInvalid
	}
	return err
}
