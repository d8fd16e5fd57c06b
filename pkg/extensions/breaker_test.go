package extensions

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// unsteady connects to an address while it may.
type unsteady struct {
	address string
	broken  atomic.Bool
	calls   atomic.Int64
}

func (d *unsteady) DialService(ctx context.Context, _, _ string, _ int32) (net.Conn, error) {
	d.calls.Add(1)
	if d.broken.Load() {
		return nil, syscall.ECONNREFUSED
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
}

// TestBreaker: a back end that cannot be reached is left alone, and tried again by one.
func TestBreaker(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }))
	t.Cleanup(back.Close)
	dialer := &unsteady{address: back.Listener.Addr().String()}
	c := &claim{kind: kindAPIService, endpoint: v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc"}}, path: "/kapis/a.io/v1"}
	server := front(t, c, dialer)
	after := ""
	code := func() int {
		answer, _ := ask(t, http.MethodGet, server.URL+"/kapis/a.io/v1/x", "", nil)
		after = answer.Header.Get("Retry-After")
		return answer.StatusCode
	}
	dialer.broken.Store(true)
	for range failuresInARow {
		if got := code(); got != 503 {
			t.Errorf("broken: %d", got)
		}
	}
	dialer.broken.Store(false)
	if got := code(); got != 503 || dialer.calls.Load() != failuresInARow || after == "" {
		t.Errorf("left alone: %d after %d calls", got, dialer.calls.Load())
	}
	wait.For(t, "the back end to be tried again", func() error {
		if got := code(); got != 200 {
			return fmt.Errorf("the answer is %d", got)
		}
		return nil
	})
	if got := code(); got != 200 || dialer.calls.Load() != failuresInARow+2 {
		t.Errorf("as before: %d after %d calls", got, dialer.calls.Load())
	}
}

// TestBreakerOfOthers: what one user's requests come to, whatever it is, closes the back end
// to nobody else.
func TestBreakerOfOthers(t *testing.T) {
	leave := make(chan struct{})
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; path {
		case "/502", "/503", "/504":
			code, _ := strconv.Atoi(path[1:])
			w.WriteHeader(code)
		case "/closed":
			panic(http.ErrAbortHandler)
		case "/slow":
			select {
			case <-leave:
			case <-r.Context().Done():
			}
		}
	}))
	t.Cleanup(back.Close)
	t.Cleanup(func() { close(leave) })
	c := proxyClaim(back.URL, v1alpha1.Directives{StripPathPrefix: "/proxy"})
	one := int32(1)
	c.endpoint.TimeoutSeconds = &one
	server := front(t, c, nil)
	for path, code := range map[string]int{"/502": 502, "/503": 503, "/504": 504, "/closed": 503, "/slow": 504} {
		var all sync.WaitGroup
		for range failuresInARow + 1 {
			all.Go(func() {
				if answer, _ := ask(t, http.MethodGet, server.URL+"/proxy"+path, "", nil); answer.StatusCode != code {
					t.Errorf("%s: %d", path, answer.StatusCode)
				}
			})
		}
		all.Wait()
		if answer, _ := ask(t, http.MethodGet, server.URL+"/proxy/other", "", nil); answer.StatusCode != 200 {
			t.Errorf("others after %s: %d", path, answer.StatusCode)
		}
	}
}
