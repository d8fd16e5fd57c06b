package identity

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many checks of passwords run and wait at once. Attempts of users who
// logged in from their address before wait in a queue of their own, which attempts with
// other names cannot fill. A free turn goes to the two queues alternately. Each client
// address and each name has half of the turns and of the places in a queue at the most.
// In a queue, the next check is that of the address and name that were served the longest
// ago: however many checks one address, or many addresses for one name, ask for, the
// others are served in turn.
type turns struct {
	running, waiting int // at the most; waiting is for each queue

	mu             sync.Mutex
	total          int    // checks that run
	served         uint64 // numbers the checks in the order they were started in
	lastKnown      bool   // whether the last turn went to the queue of known users
	known, unknown *turnQueue
}

// turnWaiter is a check that runs or waits for its turn.
type turnWaiter struct {
	queue *turnQueue
	// address, name and pair count the checks of the same address, name and both.
	address, name, pair *turnCount
	failures            int        // of a known user at the address
	ready               chan error // one value, nil when it is this check's turn
}

func newTurns(running, waiting int) *turns {
	return &turns{
		running: running, waiting: waiting, known: newTurnQueue(running, share(running), waiting),
		// A quarter of the turns is for known users, if there are more than one.
		unknown: newTurnQueue(max(1, running*3/4), share(running), waiting),
	}
}

// share is the part of a bound that an address or a name has.
func share(bound int) int { return (bound + 1) / 2 }

// take waits for a turn of an attempt, which lasts until release is called. Errors are
// ErrBusy, when too many wait already, and the context's.
func (t *turns) take(ctx context.Context, admission Admission) (release func(), err error) {
	t.mu.Lock()
	waiter := t.newWaiter(admission)
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

func (t *turns) newWaiter(admission Admission) *turnWaiter {
	queue := t.unknown
	failures := 0
	if admission.known {
		queue, failures = t.known, admission.failures
	}
	name := key(admission.user, "")
	return &turnWaiter{
		queue: queue, address: queue.address(admission.address), name: queue.names.at(name), pair: queue.pairs.at(name + admission.address),
		failures: failures, ready: make(chan error, 1),
	}
}

// enter queues a check, and starts it if there is a free turn. A full queue has room for
// a check that goes before another one, see turnQueue.makeRoom.
func (t *turns) enter(w *turnWaiter) error {
	if t.total < t.running && w.queue.eligible(w) { // then no other one is that waits
		t.start(w)
		return nil
	}
	displaced, ok := w.queue.makeRoom(w)
	if !ok {
		w.queue.forget(w)
		return ErrBusy
	}
	w.queue.add(w)
	if displaced != nil { // forgotten last: both may have a name in common
		w.queue.forget(displaced)
		displaced.ready <- ErrBusy
	}
	return nil
}

// cancel ends a check whose client waits no longer. Its turn may have come in the same
// moment, and is the next one's then.
func (t *turns) cancel(w *turnWaiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := slices.Index(w.queue.waiters, w); at >= 0 {
		w.queue.remove(at)
		w.queue.forget(w)
		return
	}
	if err := <-w.ready; err == nil {
		t.leave(w)
	}
}

// leave ends a check and starts the next ones.
func (t *turns) leave(w *turnWaiter) {
	t.total--
	w.queue.total--
	for _, count := range w.counts() {
		count.running--
	}
	t.fill()
	w.queue.forget(w)
}

// fill starts the checks there are turns for. Known users go first; the others have every
// other turn, so that a first login from an address is possible however many known users
// wait.
func (t *turns) fill() {
	for t.total < t.running {
		first, second := t.known, t.unknown
		if t.lastKnown {
			first, second = second, first
		}
		next := first.next()
		if next == nil {
			next = second.next()
		}
		if next == nil {
			return
		}
		t.start(next)
	}
}

func (t *turns) start(w *turnWaiter) {
	t.total++
	t.served++
	t.lastKnown = w.queue == t.known
	w.queue.start(w, t.served)
	w.ready <- nil
}
