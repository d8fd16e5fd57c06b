package extensions

import (
	"context"
	"net/http"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// whileAllowed returns the request with a context that ends when it may not go on:
// connections and events of back ends last as long as anybody likes.
func (r *Registry) whileAllowed(q *http.Request, every time.Duration) (*http.Request, context.CancelFunc) {
	if r.Allowed == nil {
		return q, func() {}
	}
	again := &request.Reauthorization{Revision: r.Revision, Allowed: func(q *http.Request) error {
		if err := r.Allowed(q); err != nil && !kube.Unavailable(err) {
			return err
		}
		return nil
	}}
	return again.Reauthorize(q, every)
}
