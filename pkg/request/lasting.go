package request

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Intervals of the authorization of long-running requests.
const (
	// ReauthorizeInterval is how often it is found out whether anything has changed
	// that a long-running request was authorized by.
	ReauthorizeInterval = 2 * time.Second
	// fullInterval is when a request is authorized again in any case, as a multiple of it.
	fullInterval = 15
)

// Reauthorization says how a long-running request is authorized again.
type Reauthorization struct {
	// Allowed says why a request may not continue, nil when it may. Nothing is
	// authorized again when it is nil.
	Allowed func(*http.Request) error
	// Revision identifies the state Allowed decides by. Its values are comparable,
	// and equal as long as nothing has changed. When it is nil, Allowed is called
	// each time.
	Revision func(context.Context) any
}

// Changes compares the state that requests are authorized by with the one at the
// last call. It is to be used by one goroutine.
type Changes struct {
	authorization *Reauthorization
	last          any
	calls         int
}

// NewChanges starts with the present state.
func (a *Reauthorization) NewChanges(ctx context.Context) *Changes {
	c := &Changes{authorization: a}
	if a.Revision != nil {
		c.last = a.Revision(ctx)
	}
	return c
}

// Found reports whether a request has to be authorized again: the state has changed
// since the last call, or a while has passed.
func (c *Changes) Found(ctx context.Context) bool {
	if c.authorization.Revision == nil {
		return true
	}
	now := c.authorization.Revision(ctx)
	c.calls++
	if now == c.last && c.calls < fullInterval {
		return false
	}
	c.last, c.calls = now, 0
	return true
}

// Reauthorize returns a long-running request with a context that ends when the
// request may not continue, and a function to be called when it is over. It looks
// for changes after each interval, and costs a timer, no goroutine.
func (a *Reauthorization) Reauthorize(r *http.Request, interval time.Duration) (*http.Request, context.CancelFunc) {
	if a.Allowed == nil {
		return r, func() {}
	}
	ctx, cancel := context.WithCancel(r.Context())
	changes := a.NewChanges(ctx)
	var timer *time.Timer
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(interval, func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if changes.Found(ctx) {
			if err := a.Allowed(r); err != nil {
				slog.InfoContext(ctx, "Long-running request ended, it is not authorized any more", "path", r.URL.Path, "reason", err)
				cancel()
				return
			}
		}
		timer.Reset(interval)
	})
	return r.WithContext(ctx), func() { cancel(); timer.Stop() }
}
