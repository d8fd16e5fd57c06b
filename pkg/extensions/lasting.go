package extensions

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// recheck is how often a request that lasts is looked at again.
const recheck = 30 * time.Second

// whileAllowed returns the request with a context that ends when it may not go on:
// connections and events of back ends last as long as anybody likes.
func (r *Registry) whileAllowed(q *http.Request, every time.Duration) (*http.Request, context.CancelFunc) {
	if r.Allowed == nil {
		return q, func() {}
	}
	ctx, cancel := context.WithCancel(q.Context())
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
		if err := r.Allowed(q); err != nil && !kube.Unavailable(err) {
			slog.InfoContext(ctx, "a request is ended that may not go on", "path", q.URL.Path, "reason", err)
			cancel()
			return
		}
		timer.Reset(every)
	})
	return q.WithContext(ctx), func() { cancel(); timer.Stop() }
}
