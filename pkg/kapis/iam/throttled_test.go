package iam

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestThrottled: a limit of this server is 429 with its message, one of kube-apiserver for
// this server is 503.
func TestThrottled(t *testing.T) {
	for _, test := range []struct {
		err     error
		code    int
		message string
		after   string
	}{
		{status.TooManyRequests(3*time.Second, "4 access tokens of this user are being created at the moment"), http.StatusTooManyRequests, "4 access tokens", "3"},
		{status.Unavailable(7, "too many passwords are checked at the moment"), http.StatusServiceUnavailable, "too many passwords", "7"},
		{apierrors.NewTooManyRequests("slow down", 1), http.StatusServiceUnavailable, "Kubernetes does not answer", "5"},
	} {
		recorder := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/users/me/tokens", nil)
		status.Write(recorder, r, handler(route.Handler(func(http.ResponseWriter, *http.Request) error { return test.err }))(recorder, r))
		if recorder.Code != test.code || recorder.Header().Get("Retry-After") != test.after || !strings.Contains(recorder.Body.String(), test.message) {
			t.Errorf("%v: got %d after %s s: %s", test.err, recorder.Code, recorder.Header().Get("Retry-After"), recorder.Body)
		}
	}
}
