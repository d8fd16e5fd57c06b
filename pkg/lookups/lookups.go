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
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// remembered bounds the holders whose shares are known.
	remembered = 4096
	// Lookups of all clients that are too many take turns; so many of a holder wait.
	queue    = 10
	waitTurn = 5 * time.Second
	refusal  = "too many tokens are being checked, try again later"
)

// Bounds are how many lookups there may be each second, and at once after a pause.
type Bounds struct {
	// PerSecond and AtOnce are for all clients together, who take turns; 0 for no bound.
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
	total  *turns.Paced // by holder, or else by network; nil for none

	mu     sync.Mutex
	shares *lru.Cache // of *rate.Limiter by holder
}

// New returns a limiter.
func New(bounds Bounds) *Limiter {
	l := &Limiter{bounds: bounds, shares: lru.New(remembered)}
	if bounds.PerSecond > 0 {
		l.total = turns.NewPaced(turns.Pace{PerSecond: bounds.PerSecond, AtOnce: bounds.AtOnce, Queue: queue, Wait: waitTurn}, refusal)
	}
	return l
}

// Take takes one lookup from the share of the network the request came from, request.Address,
// and waits for its turn among those of all clients. It fails with 429, which says nothing of
// what is looked up. Holders have shares of their own at each network, and take turns as one
// from all of them; "" for none.
func (l *Limiter) Take(ctx context.Context, holder string) error {
	network := identity.Network(request.Address(ctx))
	if !l.share(network + " " + holder).Allow() {
		return status.TooManyRequests(time.Second, refusal)
	}
	if l.total == nil {
		return nil
	}
	if holder == "" {
		return l.total.Take(ctx, "network "+network)
	}
	return l.total.Take(ctx, "holder "+holder)
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
