package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// behind serves what is below /proxy/ as a service behind the server does.
type behind struct{ http.Handler }

func (b behind) For(r *http.Request) http.Handler {
	if strings.HasPrefix(r.URL.Path, "/proxy/") {
		return b.Handler
	}
	return nil
}

// echo answers with the body.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })

// newEcho returns a server whose Kubernetes and services send bodies back.
func newEcho(t *testing.T) *Server {
	return newServer(t, func(o *Options) {
		o.Config.ShutdownTimeout.Duration = time.Millisecond
		o.Config.MaxLongRunning, o.Config.MaxLongRunningPerUser = 4, 2
		o.Kubernetes = echo
		o.Elsewhere = behind{echo}
	}, map[string]route.Handler{"a": text("a")})
}

// TestSlowBodiesElsewhere: bodies that do not arrive hold no place, whoever serves
// their requests. Those for Kubernetes and for services used to.
func TestSlowBodiesElsewhere(t *testing.T) {
	for _, start := range []string{
		"POST /api/v1/namespaces/n/pods HTTP/1.1\r\n", "POST /proxy/a HTTP/1.1\r\n", "POST /proxy/a HTTP/1.1\r\nAccept: text/event-stream\r\n",
		"GET /proxy/a HTTP/1.1\r\nAccept: text/event-stream\r\n", "POST /proxy/a HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
	} {
		t.Run(start, func(t *testing.T) {
			s := newEcho(t)
			serve(t, s)
			const many = 40
			for range many {
				slowRequest(t, s, start+"Host: a\r\nAuthorization: mallory\r\nContent-Length: 10\r\n\r\ng")
			}
			f := s.handler.(*filters)
			eventually(t, "the bodies are not awaited", func() bool {
				return f.admission.bodies.users.count() == many
			})
			if held, long := f.admission.inFlight.Held(), f.admission.longRunning.Held(); held+long != 0 {
				t.Errorf("they hold %d places, and %d of requests that last", held, long)
			}
		})
	}
}

// TestReadAhead: bodies for services arrive whole, larger ones than are read too.
func TestReadAhead(t *testing.T) {
	s := newEcho(t)
	for name, test := range map[string]struct {
		method, path, body string
		chunked            bool
		code               int
	}{
		"small":                {"POST", "/proxy/a", "hello", false, 200},
		"small, chunked":       {"POST", "/proxy/a", "hello", true, 200},
		"at the limit":         {"POST", "/proxy/a", strings.Repeat("a", 16), true, 200},
		"large":                {"POST", "/proxy/a", strings.Repeat("a", 100), false, 200},
		"large, chunked":       {"POST", "/proxy/a", strings.Repeat("ab", 5000), true, 200},
		"Kubernetes":           {"POST", "/api/v1/namespaces/n/pods", "hello", false, 200},
		"too large for others": {"POST", "/api/v1/namespaces/n/pods", strings.Repeat("a", 17), true, 413},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.path, strings.NewReader(test.body))
			r.Header.Set("Authorization", "jane")
			if test.chunked {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if w.Code != test.code || test.code == 200 && w.Body.String() != test.body {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	f := s.handler.(*filters)
	if f.admission.inFlight.Held()+f.admission.longRunning.Held()+f.admission.bodies.memory.Held() != 0 {
		t.Error("a place or memory is not given back")
	}
}

// TestCallers: service accounts count together by namespace.
func TestCallers(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	of := func(name string) caller { return (&filters{}).callerOf(r, &user.DefaultInfo{Name: name}) }
	if of("system:serviceaccount:n:a") != of("system:serviceaccount:n:b") || of("system:serviceaccount:n:a") == of("system:serviceaccount:m:a") || of("jane") == of("joe") {
		t.Error("service accounts of a namespace are several callers, or others are one")
	}
}
