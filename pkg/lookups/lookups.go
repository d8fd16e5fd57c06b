package lookups

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// remembered bounds the holders whose shares are known.
const remembered = 4096

// Bounds are how many lookups there may be each second, and at once after a pause.
type Bounds struct {
	// PerSecond and AtOnce are for all clients together; 0 for no bound.
	PerSecond, AtOnce int
	// SharePerSecond and ShareAtOnce are for the network of an address, so that no
	// other has to wait for it.
	SharePerSecond, ShareAtOnce int
}

// Unknown are the bounds of names the cache does not know: another replica may have
// made them just now, and that is rare.
func Unknown() Bounds {
	return Bounds{PerSecond: 20, AtOnce: 50, SharePerSecond: 5, ShareAtOnce: 15}
}

// Limiter bounds lookups.
type Limiter struct {
	bounds Bounds
	total  *rate.Limiter // nil for none

	mu     sync.Mutex
	shares *lru.Cache // of *rate.Limiter by holder
}

// New returns a limiter.
func New(bounds Bounds) *Limiter {
	l := &Limiter{bounds: bounds, shares: lru.New(remembered)}
	if bounds.PerSecond > 0 {
		l.total = rate.NewLimiter(rate.Limit(bounds.PerSecond), bounds.AtOnce)
	}
	return l
}

// Allow takes one lookup from the share of the network the request came from, request.Address,
// or fails with 429. It says nothing of what is looked up. Holders beside the network have
// shares of their own; "" for none.
func (l *Limiter) Allow(ctx context.Context, holder string) error {
	if !l.share(identity.Network(request.Address(ctx))+" "+holder).Allow() || l.total != nil && !l.total.Allow() {
		return status.TooManyRequests(time.Second, "too many tokens are being checked, try again later")
	}
	return nil
}

func (l *Limiter) share(of string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if known, found := l.shares.Get(of); found {
		return known.(*rate.Limiter)
	}
	share := rate.NewLimiter(rate.Limit(l.bounds.SharePerSecond), l.bounds.ShareAtOnce)
	l.shares.Add(of, share)
	return share
}
