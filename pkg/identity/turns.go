package identity

import (
	"context"
	"slices"
	"sync"
)

// turns bounds how many checks of passwords run and wait at once. Each client
// address has half of both at the most, and the addresses that wait are served in
// turn: however many checks one asks for, another waits for one of them.
type turns struct {
	running, waiting int // at the most

	mu      sync.Mutex
	active  map[string]int             // checks that run, by address
	total   int                        // checks that run
	queues  map[string][]chan struct{} // checks that wait, by address; none is empty
	order   []string                   // the addresses of queues, the next one first
	waiters int                        // checks that wait
}

func newTurns(running, waiting int) *turns {
	return &turns{running: running, waiting: waiting, active: make(map[string]int), queues: make(map[string][]chan struct{})}
}

// share is the part of a bound that an address has.
func share(bound int) int { return (bound + 1) / 2 }

// take waits for a turn, which lasts until release is called. Errors are ErrBusy,
// when too many wait already, and the context's.
func (t *turns) take(ctx context.Context, address string) (release func(), err error) {
	address = Network(address)
	ready, err := t.enter(address)
	if err != nil {
		return nil, err
	}
	if ready != nil {
		select {
		case <-ready:
		case <-ctx.Done():
			t.cancel(address, ready)
			return nil, ctx.Err()
		}
	}
	return sync.OnceFunc(func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.leave(address)
	}), nil
}

// enter starts a check, or has it wait until the channel is closed.
func (t *turns) enter(address string) (chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total < t.running && t.active[address] < share(t.running) {
		t.start(address)
		return nil, nil
	}
	queue := t.queues[address]
	if t.waiters >= t.waiting || len(queue) >= share(t.waiting) {
		return nil, ErrBusy
	}
	if len(queue) == 0 {
		t.order = append(t.order, address)
	}
	ready := make(chan struct{})
	t.queues[address] = append(queue, ready)
	t.waiters++
	return ready, nil
}

// cancel takes a check that waits out of its queue. Its turn may have come in the
// same moment, and is the next one's then.
func (t *turns) cancel(address string, ready chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.queues[address], ready)
	if at < 0 {
		t.leave(address)
		return
	}
	t.dequeue(address, at)
	if _, waits := t.queues[address]; !waits {
		t.order = slices.DeleteFunc(t.order, func(other string) bool { return other == address })
	}
}

// leave ends a check and starts the next ones.
func (t *turns) leave(address string) {
	t.total--
	if t.active[address]--; t.active[address] == 0 {
		delete(t.active, address)
	}
	for t.total < t.running {
		n := slices.IndexFunc(t.order, func(other string) bool { return t.active[other] < share(t.running) })
		if n < 0 {
			return
		}
		next := t.order[n]
		t.order = slices.Delete(t.order, n, n+1)
		ready := t.dequeue(next, 0)
		if _, waits := t.queues[next]; waits {
			t.order = append(t.order, next)
		}
		t.start(next)
		close(ready)
	}
}

func (t *turns) start(address string) {
	t.total++
	t.active[address]++
}

// dequeue removes a check from a queue.
func (t *turns) dequeue(address string, at int) chan struct{} {
	queue := t.queues[address]
	ready := queue[at]
	if queue = slices.Delete(queue, at, at+1); len(queue) > 0 {
		t.queues[address] = queue
	} else {
		delete(t.queues, address)
	}
	t.waiters--
	return ready
}
