package oauth

import (
	"sync"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// Each device that waits for its user is an object for ten minutes, and any
// public client may ask for one: at most this many, for each replica.
const (
	devicesPerSecond = 2
	devicesAtOnce    = 50
	// An address has a part of them only: nobody shall take them from all others.
	devicesPart      = 2
	devicesAddresses = 4096
)

// Devices bounds how many devices may begin to log in.
type Devices struct {
	all *rate.Limiter

	mu   sync.Mutex
	each *lru.Cache // of *rate.Limiter, by address
}

// NewDevices returns the usual bound.
func NewDevices() *Devices {
	return &Devices{all: rate.NewLimiter(devicesPerSecond, devicesAtOnce), each: lru.New(devicesAddresses)}
}

// allow reports whether one more may begin at an address.
func (d *Devices) allow(address string) bool {
	return d == nil || d.of(identity.Network(address)).Allow() && d.all.Allow()
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
