package server

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestWriteRefusal: clients of the token service read the errors of RFC 6749.
func TestWriteRefusal(t *testing.T) {
	for _, test := range []struct {
		path, body, retryAfter string
		err                    error
		code                   int
	}{
		{"/oauth/token", `"error":"invalid_request"`, "", status.TooLarge(10), http.StatusRequestEntityTooLarge},
		{"/oauth/token", `"error":"temporarily_unavailable"`, "2", status.TooManyRequests(2*time.Second, "busy"), http.StatusTooManyRequests},
		{"/kapis/iam.kubesphere.io/v1alpha2/users", `"kind":"Status"`, "2", status.TooManyRequests(2*time.Second, "busy"), http.StatusTooManyRequests},
	} {
		w := httptest.NewRecorder()
		writeRefusal(w, httptest.NewRequest(http.MethodPost, test.path, nil), test.err)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.body) || w.Header().Get("Retry-After") != test.retryAfter {
			t.Errorf("%s, %v: %d %v %s", test.path, test.err, w.Code, w.Header(), w.Body)
		}
		if strings.HasPrefix(test.path, "/oauth/") && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", test.path, w.Header())
		}
	}
}
