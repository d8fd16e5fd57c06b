package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestPanic(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{
		"early": func(http.ResponseWriter, *http.Request) error { panic("secret detail") },
		"late": func(w http.ResponseWriter, _ *http.Request) error {
			_, _ = w.Write([]byte(`{"items":[`))
			_ = http.NewResponseController(w).Flush()
			panic("secret detail")
		},
		"abort": func(http.ResponseWriter, *http.Request) error { panic(http.ErrAbortHandler) },
	})
	t.Run("before the answer is a 500", func(t *testing.T) {
		w := ask(s, http.MethodGet, "/kapis/test.io/v1/early")
		wantStatus(t, w, 500)
		if strings.Contains(w.Body.String(), "secret detail") {
			t.Errorf("it tells %s", w.Body)
		}
	})
	server := httptest.NewServer(s.handler)
	defer server.Close()
	// Half an answer used to end as if it were whole.
	for name, path := range map[string]string{"within the answer breaks the connection": "late", "that aborts is left to net/http": "abort"} {
		t.Run(name, func(t *testing.T) {
			response, err := http.Get(server.URL + "/kapis/test.io/v1/" + path)
			if err != nil {
				return
			}
			defer response.Body.Close()
			if body, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("a whole answer: %s", body)
			}
		})
	}
	t.Run("gives back its place", func(t *testing.T) {
		for range 2 * s.options.Config.MaxRequestsInFlight {
			ask(s, http.MethodGet, "/kapis/test.io/v1/early")
		}
		if got := s.handler.(*filters).admission.inFlight.Held(); got != 0 {
			t.Errorf("%d requests in flight", got)
		}
	})
}

func TestInFlight(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, nil, map[string]route.Handler{
		"slow": func(http.ResponseWriter, *http.Request) error {
			entered <- struct{}{}
			<-leave
			return nil
		},
		"a": text("a"),
	})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() { ask(s, http.MethodGet, "/kapis/test.io/v1/slow") })
		<-entered
	}
	for _, test := range []struct {
		name, path string
		header     []string
		code       int
	}{
		{"one too many", "/kapis/test.io/v1/a", nil, 429},
		{"one that does not exist", "/nowhere", nil, 429},
		{"metrics", "/metrics", nil, 429},
		{"liveness", "/livez", nil, 200},
		{"readiness", "/readyz", nil, 200},
		{"health", "/healthz", nil, 200},
		// What only claims to last long was not counted.
		{"one that claims to be a watch", "/kapis/test.io/v1/a?watch=true", nil, 429},
		{"one that claims to upgrade", "/kapis/test.io/v1/a", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 429},
		{"one that claims to be a log", "/kapis/test.io/v1/a/x/log", nil, 429},
		{"one to Kubernetes that claims to upgrade", "/api/v1/pods", []string{"Upgrade", "websocket", "Connection", "Upgrade"}, 429},
		// Kubernetes counts these no more than we do; there is no such route here.
		{"a watch of Kubernetes", "/api/v1/pods?watch=true", nil, 404},
		{"a log", "/api/v1/namespaces/n/pods/p/log", nil, 404},
		{"exec", "/api/v1/namespaces/n/pods/p/exec", []string{"Upgrade", "websocket"}, 404},
		{"port forwarding", "/api/v1/namespaces/n/pods/p/portforward", []string{"Upgrade", "SPDY/3.1"}, 404},
		{"a service's proxy", "/api/v1/namespaces/n/services/s/proxy/x", nil, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(s, http.MethodGet, test.path, test.header...)
			if w.Code != test.code {
				t.Errorf("got %d, want %d", w.Code, test.code)
			}
			if test.code == 429 && w.Header().Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
		})
	}
	close(leave)
	running.Wait()
	if w := ask(s, http.MethodGet, "/kapis/test.io/v1/a"); w.Code != 200 {
		t.Errorf("after they ended: %d", w.Code)
	}
}

// TestMetricsAreBounded: no client can make metrics grow by what it asks for.
func TestMetricsAreBounded(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": text("a"), "namespaces/{name}/b": text("b")})
	for n := range 2000 {
		method := []string{"GET", "POST", "PUT", "BREW", fmt.Sprintf("M%d", n)}[rand.IntN(5)]
		path := []string{
			fmt.Sprintf("/nowhere/%d", n), fmt.Sprintf("/kapis/test.io/v1/namespaces/n%d/b", n), "/kapis/test.io/v1/a", fmt.Sprintf("/kapis/test.io/v1/a?x=%d", n), fmt.Sprintf("/a//%d", n),
		}[rand.IntN(5)]
		ask(s, method, path, "User-Agent", fmt.Sprint(n), "X-Forwarded-For", fmt.Sprint(n))
	}
	families, err := s.options.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if len(family.GetMetric()) > 40 {
			t.Errorf("%s has %d series", family.GetName(), len(family.GetMetric()))
		}
	}
	scraped := ask(s, http.MethodGet, "/metrics").Body.String()
	for _, want := range []string{
		`ks_apiserver_requests_total{code="200",method="GET",route="GET /kapis/test.io/v1/namespaces/{name}/b"}`, `method="other"`, `code="404",method="GET",route="/"`,
	} {
		if !strings.Contains(scraped, want) {
			t.Errorf("there is no %s", want)
		}
	}
}

func TestHealth(t *testing.T) {
	var problem error
	s := newServer(t, func(o *Options) {
		o.Ready = []Check{{Name: "kubernetes", Err: func() error { return problem }}, {Name: "keys", Err: func() error { return nil }}}
	}, nil)
	for _, test := range []struct {
		name, path string
		problem    error
		stopping   bool
		code       int
		body       string
	}{
		{"ready", "/readyz", nil, false, 200, "ok"},
		{"ready, in detail", "/readyz?verbose", nil, false, 200, "[+]shutdown ok\n[+]kubernetes ok\n[+]keys ok\nok\n"},
		{"not ready", "/readyz", errors.New("connection refused"), false, 503, "[+]shutdown ok\n[-]kubernetes failed: connection refused\n[+]keys ok\nnot ready\n"},
		{"alive all the same", "/livez", errors.New("connection refused"), false, 200, "ok"},
		{"healthy all the same", "/healthz?verbose", errors.New("connection refused"), false, 200, "[+]ping ok\nok\n"},
		{"stopping", "/readyz", nil, true, 503, "[-]shutdown failed: the server is stopping\n[+]kubernetes ok\n[+]keys ok\nnot ready\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if problem = test.problem; test.stopping {
				close(s.stopping)
			}
			w := ask(s, http.MethodGet, test.path)
			if w.Code != test.code || w.Body.String() != test.body || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, test.code, test.body)
			}
		})
	}
}

func TestGracefulShutdown(t *testing.T) {
	for _, test := range []struct {
		name     string
		timeout  time.Duration
		finishes bool
	}{{"a request in flight is finished", 2 * wait.Timeout, true}, {"but not for ever", 50 * time.Millisecond, false}} {
		t.Run(test.name, func(t *testing.T) {
			entered, leave := make(chan struct{}), make(chan struct{})
			s := newServer(t, func(o *Options) { o.Config.ShutdownTimeout = metav1.Duration{Duration: test.timeout} }, map[string]route.Handler{
				"slow": func(w http.ResponseWriter, r *http.Request) error {
					close(entered)
					select {
					case <-leave:
					case <-r.Context().Done():
					}
					return text("done")(w, r)
				},
			})
			ctx, stop := context.WithCancel(t.Context())
			stopped := make(chan error, 1)
			go func() { stopped <- s.Run(ctx) }()
			type outcome struct {
				body string
				err  error
			}
			answered := make(chan outcome, 1)
			go func() {
				response, err := http.Get("http://" + s.Address().String() + "/kapis/test.io/v1/slow")
				if err != nil {
					answered <- outcome{err: err}
					return
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				answered <- outcome{string(body), err}
			}()
			<-entered
			stop()
			wait.Until(t, "the port to close before the request ends", func() bool {
				conn, err := net.Dial("tcp", s.Address().String())
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			if test.finishes {
				close(leave)
			}
			if got := <-answered; (got.err == nil && got.body == "done") != test.finishes {
				t.Errorf("the client got %q, %v", got.body, got.err)
			}
			if err := <-stopped; err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestListen(t *testing.T) {
	s := newServer(t, nil, nil)
	_, port, err := net.SplitHostPort(s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config config.Server
		want   string
	}{
		{"a port that is taken", config.Server{BindAddress: "127.0.0.1", InsecurePort: atoi(port)}, "choose another with --insecure-port"},
		{"no certificate", config.Server{BindAddress: "127.0.0.1", SecurePort: 1, TLSCertFile: "/nowhere"}, "TLS certificate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			options := s.options
			options.Config, options.Registry = test.config, prometheus.NewRegistry()
			if _, err := New(t.Context(), options); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func atoi(text string) (n int) {
	_, _ = fmt.Sscan(text, &n)
	return n
}

// TestHijack: a handler behind the chain can take over the connection.
func TestHijack(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": func(w http.ResponseWriter, _ *http.Request) error {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return err
		}
		_, err = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\nhello\n"))
		_ = conn.Close()
		return err
	}})
	server := httptest.NewServer(s.handler)
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("GET /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"))
	answer, err := io.ReadAll(bufio.NewReader(conn))
	if err != nil || !strings.HasSuffix(string(answer), "hello\n") {
		t.Errorf("got %q, %v", answer, err)
	}
}
