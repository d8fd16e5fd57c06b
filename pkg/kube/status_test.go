package kube

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestErr: what kube-apiserver has too much of is 503, what this server has too much of
// is told in its own words.
func TestErr(t *testing.T) {
	const away = "Kubernetes does not answer at the moment"
	for _, test := range []struct {
		name    string
		err     error
		code    int32
		message string
		after   int32
	}{
		{"kube-apiserver throttles this server", apierrors.NewTooManyRequests("slow down", 3), http.StatusServiceUnavailable, away, 5},
		{"kube-apiserver is not reached", fmt.Errorf("reading: %w", &net.OpError{Op: "dial", Err: errors.New("refused")}), http.StatusServiceUnavailable, away, 5},
		{"kube-apiserver is starting", apierrors.NewServiceUnavailable("not yet"), http.StatusServiceUnavailable, away, 5},
		{"a limit of this server", status.TooManyRequests(2*time.Second, "too many tokens"), http.StatusTooManyRequests, "too many tokens", 2},
		{"a limit of this server, wrapped", fmt.Errorf("creating: %w", status.TooManyRequests(2*time.Second, "too many tokens")), http.StatusTooManyRequests, "too many tokens", 2},
		{"passwords that are being checked", status.Unavailable(7, "too many passwords"), http.StatusServiceUnavailable, "too many passwords", 7},
		{"another error of kube-apiserver", apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, "a"), http.StatusNotFound, `pods "a" not found`, 0},
	} {
		got := status.Of(Err(test.err))
		after := int32(0)
		if got.Details != nil {
			after = got.Details.RetryAfterSeconds
		}
		if got.Code != test.code || got.Message != test.message || after != test.after {
			t.Errorf("%s: got %d %q after %d s, want %d %q after %d s", test.name, got.Code, got.Message, after, test.code, test.message, test.after)
		}
	}
	if err := Err(nil); err != nil {
		t.Errorf("no error: %v", err)
	}
	// Requests that last go on while the server cannot check them.
	if !Unavailable(status.TooManyRequests(time.Second, "too many lookups")) {
		t.Error("a limit of this server ends requests that last")
	}
}
