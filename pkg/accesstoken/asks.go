package accesstoken

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

const (
	// Tokens the cache does not know may have been made by another replica just
	// now. Whoever makes them up must not make this server ask Kubernetes
	// without end.
	asksPerSecond = 20
	asksAtOnce    = 50
	// An address has a share of that, so that no other has to wait for it.
	asksPerSecondOfAddress = 5
	asksAtOnceOfAddress    = 15
	// rememberedAddresses bounds the addresses whose shares are known.
	rememberedAddresses = 4096
)

// asks bounds how often Kubernetes is asked about tokens.
type asks struct {
	total *rate.Limiter

	mu        sync.Mutex
	addresses *lru.Cache // of *rate.Limiter by the network of an address
}

func newAsks() *asks {
	return &asks{total: rate.NewLimiter(asksPerSecond, asksAtOnce), addresses: lru.New(rememberedAddresses)}
}

// allow fails with 429 when a request has to come back later. It says nothing of
// the token.
func (a *asks) allow(ctx context.Context) error {
	if !a.of(identity.Network(request.Address(ctx))).Allow() || !a.total.Allow() {
		return status.TooManyRequests(time.Second, "too many access tokens are being checked, try again later")
	}
	return nil
}

func (a *asks) of(network string) *rate.Limiter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known, found := a.addresses.Get(network); found {
		return known.(*rate.Limiter)
	}
	limiter := rate.NewLimiter(asksPerSecondOfAddress, asksAtOnceOfAddress)
	a.addresses.Add(network, limiter)
	return limiter
}
