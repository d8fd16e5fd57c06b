package turns

import (
	"context"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Turns bounds how many requests do something at once.
type Turns struct {
	slots   chan struct{}
	share   int
	wait    time.Duration
	refusal string

	mu    sync.Mutex
	users map[string]*ofUser
}

// ofUser are the turns of a user.
type ofUser struct {
	slots   chan struct{}
	holders int // those that wait included
}

// New returns turns for so many requests at once, a share of them for each user. Requests
// wait for their turn, after which they are refused with a message.
func New(total, share int, wait time.Duration, refusal string) *Turns {
	return &Turns{slots: make(chan struct{}, total), share: share, wait: wait, refusal: refusal, users: make(map[string]*ofUser)}
}

// Take waits for a turn of a holder, see kube.Holder. It fails with status 429 when there
// is none in time. The returned function ends the turn and may be called more than once.
func (t *Turns) Take(ctx context.Context, holder string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, t.wait)
	defer cancel()
	own := t.enter(holder)
	for n, slots := range []chan struct{}{own.slots, t.slots} {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-own.slots
			}
			t.leave(holder)
			return nil, status.TooManyRequests(time.Second, "%s", t.refusal)
		}
	}
	return sync.OnceFunc(func() {
		<-t.slots
		<-own.slots
		t.leave(holder)
	}), nil
}

// Users is how many users have a turn or wait for one.
func (t *Turns) Users() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.users)
}

func (t *Turns) enter(name string) *ofUser {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[name]
	if own == nil {
		own = &ofUser{slots: make(chan struct{}, t.share)}
		t.users[name] = own
	}
	own.holders++
	return own
}

func (t *Turns) leave(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.users[name]
	if own.holders--; own.holders == 0 {
		delete(t.users, name)
	}
}
