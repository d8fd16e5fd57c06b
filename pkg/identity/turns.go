package identity

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many checks of passwords run and wait at once. Each client address
// and each name has half of both at the most. Of the checks that wait, the next one is
// that of the address and name that were served the longest ago: however many checks
// one address, or many addresses for one name, ask for, the others are served in turn.
type turns struct {
	running, waiting int // at the most

	mu     sync.Mutex
	total  int           // checks that run
	queue  []*turnWaiter // checks that wait, the oldest first
	served uint64        // numbers the checks in the order they were started in
	// addresses, names and pairs of both have an entry while a check of theirs runs
	// or waits.
	addresses, names, pairs turnUsage
}

// turnWaiter is a check that waits for its turn.
type turnWaiter struct {
	address, name string
	ready         chan error // one value, nil when it is this check's turn
}

// turnCount is the use of the turns by an address or a name.
type turnCount struct {
	running, waiting int
	served           uint64 // when its last check was started
}

type turnUsage map[string]*turnCount

func (u turnUsage) at(key string) *turnCount {
	count, found := u[key]
	if !found {
		count = &turnCount{}
		u[key] = count
	}
	return count
}

// forget removes an entry without checks.
func (u turnUsage) forget(key string) {
	if count, found := u[key]; found && count.running == 0 && count.waiting == 0 {
		delete(u, key)
	}
}

func newTurns(running, waiting int) *turns {
	return &turns{running: running, waiting: waiting, addresses: turnUsage{}, names: turnUsage{}, pairs: turnUsage{}}
}

// share is the part of a bound that an address or a name has.
func share(bound int) int { return (bound + 1) / 2 }

// take waits for a turn, which lasts until release is called. Errors are ErrBusy,
// when too many wait already, and the context's.
func (t *turns) take(ctx context.Context, address, name string) (release func(), err error) {
	waiter := &turnWaiter{address: Network(address), name: key(name, ""), ready: make(chan error, 1)}
	t.mu.Lock()
	err = t.enter(waiter)
	t.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case err = <-waiter.ready:
	case <-ctx.Done():
		t.cancel(waiter)
		err = ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.leave(waiter)
	}), nil
}

// enter queues a check, and starts it if there is a free turn. A full queue has room for
// an address or name that waits less than another one.
func (t *turns) enter(w *turnWaiter) error {
	if t.eligible(w) { // then no other one is that waits
		t.start(w)
		return nil
	}
	if !t.makeRoom(w) {
		t.forget(w)
		return ErrBusy
	}
	t.queue = append(t.queue, w)
	t.count(w, 1)
	return nil
}

// makeRoom reports whether a check may wait. It ends another one's wait if the bound of
// all, of the address or of the name is reached and another name or address uses more
// of it than this check's.
func (t *turns) makeRoom(w *turnWaiter) bool {
	address, name, pair := t.addresses.at(w.address), t.names.at(w.name), t.pairs.at(w.pair())
	switch {
	case address.waiting >= share(t.waiting):
		return t.displace(func(other *turnWaiter) int {
			if other.address != w.address {
				return 0
			}
			return t.pairs.at(other.pair()).waiting
		}, pair.waiting+1)
	case name.waiting >= share(t.waiting):
		return t.displace(func(other *turnWaiter) int {
			if other.name != w.name {
				return 0
			}
			return t.pairs.at(other.pair()).waiting
		}, pair.waiting+1)
	case len(t.queue) < t.waiting:
		return true
	}
	return t.displace(func(other *turnWaiter) int { return t.addresses.at(other.address).waiting }, address.waiting+1) ||
		t.displace(func(other *turnWaiter) int { return t.names.at(other.name).waiting }, name.waiting+1)
}

// displace ends the wait of the latest check with the largest use, if that is more than
// another one's.
func (t *turns) displace(use func(*turnWaiter) int, more int) bool {
	largest, at := more, -1
	for n, other := range t.queue {
		if used := use(other); used > largest || used == largest && at >= 0 {
			largest, at = used, n
		}
	}
	if at < 0 {
		return false
	}
	other := t.queue[at]
	t.dequeue(at)
	t.forget(other)
	other.ready <- ErrBusy
	return true
}

// cancel ends a check whose client waits no longer. Its turn may have come in the same
// moment, and is the next one's then.
func (t *turns) cancel(w *turnWaiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := slices.Index(t.queue, w); at >= 0 {
		t.dequeue(at)
		t.forget(w)
		return
	}
	if err := <-w.ready; err == nil {
		t.leave(w)
	}
}

// leave ends a check and starts the next ones.
func (t *turns) leave(w *turnWaiter) {
	t.total--
	for _, count := range t.counts(w) {
		count.running--
	}
	t.fill()
	t.forget(w)
}

// fill starts the checks there are turns for.
func (t *turns) fill() {
	for t.total < t.running {
		next := -1
		for n, w := range t.queue {
			if t.eligible(w) && (next < 0 || t.before(w, t.queue[next])) {
				next = n
			}
		}
		if next < 0 {
			return
		}
		w := t.queue[next]
		t.dequeue(next)
		t.start(w)
	}
}

// eligible reports whether a check can start.
func (t *turns) eligible(w *turnWaiter) bool {
	return t.total < t.running && t.addresses.at(w.address).running < share(t.running) && t.names.at(w.name).running < share(t.running)
}

// before reports whether a check is served before an older one.
func (t *turns) before(w, older *turnWaiter) bool {
	recent, last := t.servedLast(w)
	olderRecent, olderLast := t.servedLast(older)
	if recent != olderRecent {
		return recent < olderRecent
	}
	return last < olderLast
}

// servedLast is when the address or the name of a check was served, whichever was
// later, and when the other one was.
func (t *turns) servedLast(w *turnWaiter) (recent, last uint64) {
	address, name := t.addresses.at(w.address).served, t.names.at(w.name).served
	return max(address, name), min(address, name)
}

func (t *turns) start(w *turnWaiter) {
	t.total++
	t.served++
	for _, count := range t.counts(w) {
		count.running++
		count.served = t.served
	}
	w.ready <- nil
}

func (t *turns) dequeue(at int) {
	t.count(t.queue[at], -1)
	t.queue = slices.Delete(t.queue, at, at+1)
}

func (t *turns) count(w *turnWaiter, more int) {
	for _, count := range t.counts(w) {
		count.waiting += more
	}
}

func (t *turns) counts(w *turnWaiter) [3]*turnCount {
	return [3]*turnCount{t.addresses.at(w.address), t.names.at(w.name), t.pairs.at(w.pair())}
}

func (t *turns) forget(w *turnWaiter) {
	t.addresses.forget(w.address)
	t.names.forget(w.name)
	t.pairs.forget(w.pair())
}

func (w *turnWaiter) pair() string { return w.address + "\x00" + w.name }
