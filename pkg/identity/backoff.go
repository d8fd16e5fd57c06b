package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/lru"
)

// Throttled is an attempt that came too soon after failed ones. The password
// was not looked at.
type Throttled struct {
	// After is how long to wait.
	After time.Duration
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("too many failed logins, try again in %s", t.After.Round(time.Second))
}

// Backoff slows down who guesses passwords: the more attempts failed, the
// longer the next has to wait. It counts for each user and address, and for
// each address whoever the user is, but never for a user alone: nobody can keep
// others from logging in from elsewhere (NIST SP 800-63B §3.2.2 asks for a
// limit, and OWASP for one that is no denial of service).
type Backoff struct {
	// Tries are how many attempts may fail before there is a wait.
	Tries int
	// Remember is how long failures count, and the longest wait.
	Remember time.Duration
	Now      func() time.Time
	// Earlier returns the failures of a user from an address since the last
	// success that were written down, here or by another replica. Nil for none.
	Earlier func(ctx context.Context, user, address string) (Failures, error)

	noting           sync.Mutex // of failures, which come at once
	users, addresses *lru.Cache // of Failures; they lock themselves
}

// Failures are failed attempts.
type Failures struct {
	Count int
	Last  time.Time
}

const (
	// rememberedFailures bounds what is known of users and of addresses.
	rememberedFailures = 1 << 16
	// triesOfAddress is how many times more attempts an address has than a user
	// at it: many people may share one.
	triesOfAddress = 10
	// longestWaitOfAddress is the longest wait for an address whoever the user
	// is, for the same reason.
	longestWaitOfAddress = time.Minute
	// firstWait is doubled with each failure.
	firstWait = time.Second
)

// NewBackoff returns a back-off that knows of no failures yet.
func NewBackoff(tries int, remember time.Duration, now func() time.Time) *Backoff {
	return &Backoff{Tries: tries, Remember: remember, Now: now, users: lru.New(rememberedFailures), addresses: lru.New(rememberedFailures)}
}

// Wait returns a *Throttled if an attempt comes too soon.
func (b *Backoff) Wait(ctx context.Context, user, address string) error {
	address = Network(address)
	known := b.known(b.users, key(user, address))
	if b.Earlier != nil {
		// Kubernetes does not answer now: what is known here has to do.
		if earlier, err := b.Earlier(ctx, user, address); err == nil && b.counts(earlier) && earlier.Count > known.Count {
			known = earlier
		}
	}
	wait := max(b.remaining(known, b.Tries, b.Remember), b.remaining(b.known(b.addresses, address), b.Tries*triesOfAddress, min(longestWaitOfAddress, b.Remember)))
	if wait > 0 {
		return &Throttled{After: wait}
	}
	return nil
}

// Failed notes a failed attempt.
func (b *Backoff) Failed(user, address string) {
	address = Network(address)
	now := b.Now()
	b.noting.Lock()
	defer b.noting.Unlock()
	b.users.Add(key(user, address), Failures{b.known(b.users, key(user, address)).Count + 1, now})
	b.addresses.Add(address, Failures{b.known(b.addresses, address).Count + 1, now})
}

// Succeeded forgets the failures of a user at an address. Those of the address
// stay: who has an account could guess others' passwords otherwise.
func (b *Backoff) Succeeded(user, address string) {
	b.users.Remove(key(user, Network(address)))
}

// known are the failures that count still.
func (b *Backoff) known(of *lru.Cache, key string) Failures {
	value, found := of.Get(key)
	if !found {
		return Failures{}
	}
	if failures := value.(Failures); b.counts(failures) {
		return failures
	}
	return Failures{}
}

func (b *Backoff) counts(f Failures) bool { return b.Now().Sub(f.Last) < b.Remember }

// remaining is how long to wait still.
func (b *Backoff) remaining(f Failures, tries int, longest time.Duration) time.Duration {
	over := f.Count - tries
	if over < 0 {
		return 0
	}
	wait := longest
	if over < 32 {
		wait = min(longest, firstWait<<over)
	}
	return f.Last.Add(wait).Sub(b.Now())
}

// longestName bounds what is kept of a name; no user's is longer.
const longestName = 253

// key tells pairs apart; addresses have no NUL.
func key(user, address string) string {
	return strings.ToLower(user[:min(len(user), longestName)]) + "\x00" + address
}

// Network is what counts as one address: of IPv6 the /64, since one host may
// have all of it.
func Network(address string) string {
	parsed, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	parsed = parsed.Unmap().WithZone("")
	if parsed.Is4() {
		return parsed.String()
	}
	prefix, err := parsed.Prefix(64)
	if err != nil {
		return address
	}
	return prefix.String()
}
