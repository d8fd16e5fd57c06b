package oauth

import (
	"errors"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestThrottled: checks of tokens that this server throttles are 429, requests of its own
// that kube-apiserver throttles are 503.
func TestThrottled(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
	}{
		{status.TooManyRequests(time.Second, "too many tokens"), http.StatusTooManyRequests},
		{apierrors.NewTooManyRequests("slow down", 1), http.StatusServiceUnavailable},
	} {
		var got *Error
		if !errors.As(translate(test.err), &got) || got.Status != test.code || got.RetryAfter == 0 {
			t.Errorf("%v: got %+v, want %d", test.err, got, test.code)
		}
	}
}
