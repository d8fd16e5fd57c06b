package turns

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Turns bounds how many requests do something at once.
type Turns struct {
	share   int
	queue   int // how many requests of a holder may wait; 0 is no bound
	wait    time.Duration
	refusal string

	mu    sync.Mutex
	free  int
	given uint64 // twice the number of turns there were
	users map[string]*ofUser
}

// ofUser are the turns of a user who has one or waits for one.
type ofUser struct {
	running int
	waiting []chan struct{} // in the order of their arrival; closed when their turn comes
	last    uint64          // of the last turn, or of the last one before the user came, who is before whoever had that one
}

// New returns turns for so many requests at once, a share of them for each user. Requests
// wait for their turn, after which they are refused with a message.
func New(total, share int, wait time.Duration, refusal string) *Turns {
	return &Turns{free: total, share: share, wait: wait, refusal: refusal, users: make(map[string]*ofUser)}
}

// Queue bounds how many requests of each holder wait, where nothing else does: further ones
// are refused at once.
func (t *Turns) Queue(requests int) *Turns {
	t.queue = requests
	return t
}

// Take waits for a turn of a holder, see WithHolder. The next one that is free is that of
// the holder who has the fewest, and of those who was served the longest ago: however many
// requests of others wait, each of them has one turn before the first of a holder. It fails with status 429 when
// there is none in time, or too many requests of the holder wait. The returned function ends the turn and may be called more than
// once.
func (t *Turns) Take(ctx context.Context, holder string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	turn := t.enter(holder)
	if turn == nil {
		return nil, status.TooManyRequests(time.Second, "%s", t.refusal)
	}
	select {
	case <-turn:
	case <-ctx.Done():
		if t.leave(holder, turn) {
			return nil, status.TooManyRequests(time.Second, "%s", t.refusal)
		}
	}
	return sync.OnceFunc(func() { t.release(holder) }), nil
}

// Users is how many users have a turn or wait for one.
func (t *Turns) Users() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.users)
}

// enter returns what is closed when the turn of a request comes; nil if as many wait as may.
func (t *Turns) enter(holder string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[holder]
	if own == nil {
		own = &ofUser{last: t.given}
		t.users[holder] = own
	}
	if t.queue > 0 && len(own.waiting) >= t.queue {
		return nil
	}
	turn := make(chan struct{})
	own.waiting = append(own.waiting, turn)
	t.give()
	return turn
}

// leave takes a request out that does not wait any longer. It reports whether it still did.
func (t *Turns) leave(holder string, turn chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[holder]
	at := slices.Index(own.waiting, turn)
	if at < 0 {
		return false
	}
	own.waiting = slices.Delete(own.waiting, at, at+1)
	t.forget(holder, own)
	return true
}

func (t *Turns) release(holder string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[holder]
	own.running--
	t.free++
	t.forget(holder, own)
	t.give()
}

func (t *Turns) forget(holder string, own *ofUser) {
	if own.running == 0 && len(own.waiting) == 0 {
		delete(t.users, holder)
	}
}

// give gives the free turns to those that wait.
func (t *Turns) give() {
	for t.free > 0 {
		var next *ofUser
		for _, own := range t.users {
			if len(own.waiting) > 0 && own.running < t.share && (next == nil || own.before(next)) {
				next = own
			}
		}
		if next == nil {
			return
		}
		t.given += 2
		t.free--
		next.running++
		next.last = t.given + 1
		close(next.waiting[0])
		next.waiting = next.waiting[1:]
	}
}

// before reports whether a user has the next turn before another.
func (u *ofUser) before(other *ofUser) bool {
	if u.running != other.running {
		return u.running < other.running
	}
	return u.last < other.last
}
