package request

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// WhileAllowed returns a request that lasts, with a context that ends when it may
// not go on: allowed is asked every so often and says why not. It costs a timer,
// not a goroutine. What it returns beside has to be called in the end.
func WhileAllowed(r *http.Request, every time.Duration, allowed func(*http.Request) error) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	var timer *time.Timer
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err := allowed(r); err != nil {
			slog.InfoContext(ctx, "a request is ended that may not go on", "path", r.URL.Path, "reason", err)
			cancel()
			return
		}
		timer.Reset(every)
	})
	return r.WithContext(ctx), func() { cancel(); timer.Stop() }
}
