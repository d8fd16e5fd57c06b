package oauth

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Each device that waits for its user is an object for ten minutes, and any
// public client may ask for one: at most this many, for each replica.
const (
	devicesPerSecond = 2
	devicesAtOnce    = 50
	// An address has a part of them only: nobody shall take them from all others.
	devicesPart      = 2
	devicesAddresses = 4096
	// Beyond, the addresses take turns. Of each a few wait: those that do hold places of
	// the requests without credentials.
	devicesWaiting = 4
	devicesWait    = 20 * time.Second
)

// Devices bounds how many devices may begin to log in.
type Devices struct {
	all *turns.Paced // by address

	mu   sync.Mutex
	each *lru.Cache // of *rate.Limiter, by address
}

// NewDevices returns the usual bound.
func NewDevices() *Devices {
	return &Devices{
		all: turns.NewPaced(turns.Pace{
			PerSecond: devicesPerSecond, AtOnce: devicesAtOnce, Queue: devicesWaiting, Wait: devicesWait,
		}, "too many devices at the moment"),
		each: lru.New(devicesAddresses),
	}
}

// take waits for the turn of an address. It reports whether one more may begin there.
func (d *Devices) take(ctx context.Context, address string) bool {
	if d == nil {
		return true
	}
	network := identity.Network(address)
	return d.of(network).Allow() && d.all.Take(ctx, network) == nil
}

func (d *Devices) of(address string) *rate.Limiter {
	d.mu.Lock()
	defer d.mu.Unlock()
	if known, found := d.each.Get(address); found {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(devicesPerSecond/devicesPart, devicesAtOnce/devicesPart)
	d.each.Add(address, fresh)
	return fresh
}
