package tenant

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
		{status.TooManyRequests(3*time.Second, "you have as many workspaces being created as one client may have"), http.StatusTooManyRequests, "as many workspaces", "3"},
		{apierrors.NewTooManyRequests("slow down", 1), http.StatusServiceUnavailable, "Kubernetes does not answer", "5"},
	} {
		recorder := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/workspaces", nil)
		status.Write(recorder, r, handler(route.Handler(func(http.ResponseWriter, *http.Request) error { return test.err }))(recorder, r))
		if recorder.Code != test.code || recorder.Header().Get("Retry-After") != test.after || !strings.Contains(recorder.Body.String(), test.message) {
			t.Errorf("%v: got %d after %s s: %s", test.err, recorder.Code, recorder.Header().Get("Retry-After"), recorder.Body)
		}
	}
}
