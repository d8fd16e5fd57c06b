package extensions

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestWhileAllowed: what lasts ends with the session it began in.
func TestWhileAllowed(t *testing.T) {
	for _, test := range []struct {
		name string
		err  error
		ends bool
	}{
		{"nothing changed", nil, false},
		{"Kubernetes is away", apierrors.NewServiceUnavailable("away"), false},
		{"the session has ended", errors.New("the session has ended"), true},
	} {
		asked := make(chan struct{}, 100)
		r := &Registry{Allowed: func(*http.Request) error { asked <- struct{}{}; return test.err }}
		q, stop := r.whileAllowed(httptest.NewRequest(http.MethodGet, "/proxy/a", nil), time.Millisecond)
		<-asked
		if !test.ends {
			<-asked
		}
		select {
		case <-q.Context().Done():
			if !test.ends {
				t.Errorf("%s: ended", test.name)
			}
		case <-time.After(map[bool]time.Duration{true: wait.Timeout, false: 10 * time.Millisecond}[test.ends]):
			if test.ends {
				t.Errorf("%s: goes on", test.name)
			}
		}
		stop()
	}
}
