package identity

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// Throttled is an attempt that came too soon after failed ones. The password
// was not looked at.
type Throttled struct {
	// After is how long to wait.
	After time.Duration
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("too many failed logins, try again in %s", max(t.After.Round(time.Second), time.Second))
}

// Backoff slows down the guessing of passwords: the more attempts of a user from
// an address failed, the longer the next has to wait. It never counts for a user
// alone: failures at one address do not lock the user out at others (NIST SP
// 800-63B §3.2.2 asks for a limit, and OWASP for one that is no denial of service).
//
// Many people share an address behind a proxy or NAT. So the failures of other
// users at an address do not refuse a user: attempts from an address with many of
// them take turns at a steady rate, and users who logged in from there before do
// not even wait for a turn. Nor do failures lock out the owner of a name at an address
// the owner logged in from: attempts of the two are then checked at a steady slow rate.
type Backoff struct {
	// Tries are how many attempts may fail before there is a wait.
	Tries int
	// Remember is how long failures count, and the longest wait.
	Remember time.Duration
	Now      func() time.Time
	// Earlier returns the failures of a user from an address since the last
	// success that were written down, here or by another replica. Nil for none.
	Earlier func(ctx context.Context, user, address string) (Failures, error)
	// NeverRefuse has attempts beyond Tries checked at the slow rate from each address,
	// not only from those with an earlier success.
	NeverRefuse bool

	noting           sync.Mutex // of failures, which come at once
	users, addresses *lru.Cache // of Failures; they lock themselves
	successes        *lru.Cache // of the time of the last one, by user and address
	turns            *lru.Cache // of *rate.Limiter, by address
	retries          *lru.Cache // of *rate.Limiter, by user and address
	sleep            func(context.Context, time.Duration) error
}

// Failures are failed attempts.
type Failures struct {
	Count int
	Last  time.Time
	// Succeeded is whether an attempt of the user from the address is known to have
	// succeeded, however long ago.
	Succeeded bool
}

const (
	// rememberedFailures bounds what is known of users and of addresses.
	rememberedFailures = 1 << 16
	// triesOfAddress is how many times more attempts an address has than a user
	// at it before its attempts take turns: many people may share one.
	triesOfAddress = 10
	// Attempts that take turns are made at turnsPerSecond, a few at once; one waits
	// at most longestTurn for its turn.
	turnsPerSecond = 2
	turnsAtOnce    = 10
	longestTurn    = 5 * time.Second
	// Beyond Tries, one attempt of a user from an address of the user is made in each
	// retryInterval; one waits at most longestRetry.
	retryInterval = 3 * time.Second
	longestRetry  = 4 * retryInterval
	// successCounts is how long a success makes an address one of the user's.
	successCounts = 30 * 24 * time.Hour
	// firstWait is doubled with each failure.
	firstWait = time.Second
)

// NewBackoff returns a back-off that knows of no failures yet.
func NewBackoff(tries int, remember time.Duration, now func() time.Time) *Backoff {
	return &Backoff{
		Tries: tries, Remember: remember, Now: now, users: lru.New(rememberedFailures), addresses: lru.New(rememberedFailures),
		successes: lru.New(rememberedFailures), turns: lru.New(rememberedFailures), retries: lru.New(rememberedFailures), sleep: sleep,
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Admission is an attempt that may be made.
type Admission struct {
	backoff       *Backoff
	user, address string
	retry         bool
	// known is whether the user logged in from the address before, with so many
	// failures since.
	known    bool
	failures int
}

// Admit returns a *Throttled if an attempt comes too soon. It waits for the turn of an
// attempt at an address with many failures, for a bounded time.
func (b *Backoff) Admit(ctx context.Context, user, address string) (Admission, error) {
	address = Network(address)
	known := b.failures(ctx, user, address)
	admission := Admission{backoff: b, user: user, address: address, known: known.Succeeded, failures: known.Count}
	if wait := b.remaining(known); wait > 0 {
		if !known.Succeeded && !b.NeverRefuse {
			return admission, &Throttled{After: wait}
		}
		admission.retry = true
		return admission, b.takeTurn(ctx, b.retries, key(user, address), rate.Every(retryInterval), 1, longestRetry)
	}
	if known.Succeeded || b.known(b.addresses, address).Count < b.Tries*triesOfAddress {
		return admission, nil
	}
	return admission, b.takeTurn(ctx, b.turns, address, turnsPerSecond, turnsAtOnce, longestTurn)
}

// Recheck returns a *Throttled if attempts of the user failed since this one was
// admitted, unless it was admitted in spite of failures.
func (a Admission) Recheck(ctx context.Context) error {
	if a.retry {
		return nil
	}
	if wait := a.backoff.remaining(a.backoff.failures(ctx, a.user, a.address)); wait > 0 {
		return &Throttled{After: wait}
	}
	return nil
}

// failures are those of a user at an address.
func (b *Backoff) failures(ctx context.Context, user, address string) Failures {
	pair := key(user, address)
	known := b.known(b.users, pair)
	if last, found := b.successes.Get(pair); found {
		known.Succeeded = b.Now().Sub(last.(time.Time)) < successCounts
	}
	if b.Earlier == nil {
		return known
	}
	earlier, err := b.Earlier(ctx, user, address)
	if err != nil {
		return known // Kubernetes does not answer now: what is known here has to do
	}
	succeeded := known.Succeeded || earlier.Succeeded
	if b.counts(earlier) && earlier.Count > known.Count {
		known = earlier
	}
	known.Succeeded = succeeded
	return known
}

// takeTurn waits until it is the turn of an attempt among those with the same key.
func (b *Backoff) takeTurn(ctx context.Context, limiters *lru.Cache, key string, every rate.Limit, atOnce int, longest time.Duration) error {
	b.noting.Lock()
	limiter, found := limiters.Get(key)
	if !found {
		limiter = rate.NewLimiter(every, atOnce)
		limiters.Add(key, limiter)
	}
	b.noting.Unlock()
	now := b.Now()
	turn := limiter.(*rate.Limiter).ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > longest {
		turn.CancelAt(now)
		return &Throttled{After: wait}
	}
	if wait == 0 {
		return nil
	}
	if err := b.sleep(ctx, wait); err != nil {
		turn.CancelAt(b.Now())
		return err
	}
	return nil
}

// Failed notes a failed attempt.
func (b *Backoff) Failed(user, address string) {
	address = Network(address)
	now := b.Now()
	b.noting.Lock()
	defer b.noting.Unlock()
	b.users.Add(key(user, address), Failures{Count: b.known(b.users, key(user, address)).Count + 1, Last: now})
	b.addresses.Add(address, Failures{Count: b.known(b.addresses, address).Count + 1, Last: now})
}

// Succeeded forgets the failures of a user at an address. Those of the address
// stay: who has an account could guess others' passwords otherwise.
func (b *Backoff) Succeeded(user, address string) {
	pair := key(user, Network(address))
	b.users.Remove(pair)
	b.successes.Add(pair, b.Now())
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
func (b *Backoff) remaining(f Failures) time.Duration {
	over := f.Count - b.Tries
	if over < 0 {
		return 0
	}
	wait := b.Remember
	if over < 32 {
		wait = min(wait, firstWait<<over)
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
