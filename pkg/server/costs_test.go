package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// slowRequest opens a connection, sends the start of a request and keeps it open.
func slowRequest(t testing.TB, s *Server, start string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, start); err != nil {
		t.Fatal(err)
	}
	return conn
}

// serve runs a server until the test ends.
func serve(t testing.TB, s *Server) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Logf("the server ended with %v", err)
		}
	})
}

func eventually(t testing.TB, problem string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(problem)
		}
	}
}

// TestDecidedAgain: what a body that comes slowly is for is decided again when it is there; a
// session that was ended meanwhile made tokens that lasted. What comes at once is not.
func TestDecidedAgain(t *testing.T) {
	var asked atomic.Int64
	s := newServer(t, func(o *Options) {
		o.StillAllowed = func(r *http.Request) error {
			asked.Add(1)
			if r.Header.Get("X-Ended") != "" {
				return authn.ErrSessionEnded
			}
			return nil
		}
	}, map[string]route.Handler{"a": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "served")
		return err
	}})
	serve(t, s)
	for _, test := range []struct {
		name, header string
		wait         time.Duration
		code         string
		asked        int64
	}{
		{"at once, of a session that ends", "Authorization: jane\r\nX-Ended: 1\r\n", 0, "200", 0},
		{"slowly", "Authorization: jane\r\n", decidedFor + 200*time.Millisecond, "200", 1},
		{"slowly, of a session that ended", "Authorization: jane\r\nX-Ended: 1\r\n", decidedFor + 200*time.Millisecond, "401", 1},
		{"slowly, of nobody", "X-Ended: 1\r\n", decidedFor + 200*time.Millisecond, "200", 0},
	} {
		asked.Store(0)
		conn := slowRequest(t, s, "POST /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"+test.header+"Content-Length: 2\r\n\r\n{")
		time.Sleep(test.wait)
		_, _ = io.WriteString(conn, "}")
		answer, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 "+test.code) || asked.Load() != test.asked {
			t.Errorf("%s: %.200s, %v, asked %d times", test.name, answer, err, asked.Load())
		}
	}
}

// TestSlowBodies: clients that send the body of a request slowly, or never, take no
// place from others, whether they are authenticated or not. 405 of them used to
// close the server to everyone.
func TestSlowBodies(t *testing.T) {
	for _, user := range []string{"", "Authorization: mallory\r\n"} {
		t.Run(user, func(t *testing.T) {
			s := newServer(t, func(o *Options) { o.Config.ShutdownTimeout.Duration = time.Millisecond }, map[string]route.Handler{"a": text("a")})
			serve(t, s)
			for range 10 * s.options.Config.MaxRequestsInFlight {
				slowRequest(t, s, "POST /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\n"+user+"Content-Length: 10\r\n\r\ng")
			}
			f := s.handler.(*filters)
			eventually(t, "the bodies are not awaited", func() bool {
				return f.admission.bodies.users.count()+f.admission.bodies.unauthenticated.count() == 10*s.options.Config.MaxRequestsInFlight
			})
			for range 20 {
				if w := ask(s, http.MethodGet, "/kapis/test.io/v1/a"); w.Code != http.StatusOK {
					t.Fatalf("another client gets %d %s", w.Code, w.Body)
				}
			}
		})
	}
}

// TestBodyDeadline: a body that does not arrive is answered with 408 and ends the
// connection; the deadline is that of its request only.
func TestBodyDeadline(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = w.Write(body)
		return err
	}})
	soon := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDeadlines(w, r)
		free, err := s.handler.(*filters).admission.readBody(w, r, caller{name: "a", authenticated: true}, d)
		defer free()
		if err != nil {
			w.WriteHeader(http.StatusRequestTimeout)
			_, _ = io.WriteString(w, err.Error())
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = w.Write(body)
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDeadlines(w, r)
		d.set(time.Now().Add(100 * time.Millisecond))
		soon.ServeHTTP(w, r)
	}))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	lines := bufio.NewReader(conn)
	for range 2 { // the deadline of the first request is not that of the second
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
		response, err := http.ReadResponse(lines, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK || string(body) != "hello" {
			t.Fatalf("%d %s", response.StatusCode, body)
		}
		time.Sleep(150 * time.Millisecond)
	}
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nh")
	response, err := http.ReadResponse(lines, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("a slow body: %d", response.StatusCode)
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := lines.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection goes on: %v", err)
	}
}

// TestUnreadAnswers: answers nobody reads end, over HTTP/1.1 and HTTP/2, and do not
// hold a place.
func TestUnreadAnswers(t *testing.T) {
	large := strings.Repeat("a", 1<<20)
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			ended := make(chan error, 1)
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/small" {
					return
				}
				d := newDeadlines(w, r)
				d.set(time.Now().Add(200*time.Millisecond - answerGrace))
				for range 256 {
					if _, err := io.WriteString(w, large); err != nil {
						ended <- err
						return
					}
				}
				ended <- nil
			}))
			server.EnableHTTP2 = protocol == "h2"
			server.Config.HTTP2 = &http.HTTP2Config{WriteByteTimeout: time.Second}
			server.StartTLS()
			defer server.Close()
			client := server.Client()
			response, err := client.Get(server.URL + "/large")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close() // and never read
			select {
			case err := <-ended:
				if err == nil {
					t.Error("256 MiB were written that nobody read")
				}
			case <-time.After(20 * time.Second):
				t.Fatal("the answer is still being written")
			}
			again, err := client.Get(server.URL + "/small")
			if err != nil {
				t.Fatal(err)
			}
			again.Body.Close()
		})
	}
}

// TestShares: no user, and no address without a user, takes all places.
func TestShares(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(o *Options) {
		o.Config.MaxRequestsInFlight, o.Config.MaxRequestsInFlightPerUser, o.Config.MaxUnauthenticatedInFlight = 10, 4, 4
	}, map[string]route.Handler{
		"slow": func(http.ResponseWriter, *http.Request) error {
			entered <- struct{}{}
			<-leave
			return nil
		},
		"a": text("a"),
	})
	var running sync.WaitGroup
	fill := func(header ...string) {
		running.Go(func() { ask(s, http.MethodGet, "/kapis/test.io/v1/slow", header...) })
		<-entered
	}
	for range 4 {
		fill("Authorization", "mallory")
	}
	for range 2 {
		fill()
	}
	for _, test := range []struct {
		name, user, path string
		code             int
	}{
		{"the user with all of its share", "mallory", "/kapis/test.io/v1/a", 429},
		{"another user", "jane", "/kapis/test.io/v1/a", 200},
		{"an address with all of its share", "", "/kapis/test.io/v1/a", 429},
		{"health", "", "/livez", 200},
		{"health of the user", "mallory", "/readyz", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(s, http.MethodGet, test.path, "Authorization", test.user)
			if w.Code != test.code || test.code == 429 && w.Header().Get("Retry-After") == "" {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, test.code)
			}
		})
	}
	t.Run("another address", func(t *testing.T) {
		r := httptest.NewRequest(http.MethodGet, "/kapis/test.io/v1/a", nil)
		r.RemoteAddr = "198.51.100.7:1234"
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	})
	close(leave)
	running.Wait()
	if metrics := ask(s, http.MethodGet, "/metrics", "Authorization", "jane").Body.String(); !strings.Contains(metrics, `ks_apiserver_rejections_total{reason="user_in_flight"} 1`) || !strings.Contains(metrics, `ks_apiserver_rejections_total{reason="unauthenticated_in_flight"} 1`) {
		t.Errorf("the metrics do not tell: %s", metrics)
	}
}

// TestLongRunning: a user has a share of the requests that last, and gets it back.
func TestLongRunning(t *testing.T) {
	entered := make(chan struct{})
	s := newServer(t, func(o *Options) {
		o.Config.MaxLongRunning, o.Config.MaxLongRunningPerUser = 3, 2
		o.Groups[0].Routes = append(o.Groups[0].Routes, route.Route{
			Method: http.MethodGet, Path: "/w", ID: "w", Summary: "w", Watchable: true, Responses: []route.Response{{Code: 200}},
			Handler: func(_ http.ResponseWriter, r *http.Request) error {
				entered <- struct{}{}
				<-r.Context().Done()
				return nil
			},
		})
	}, map[string]route.Handler{"a": text("a")})
	const path = "/kapis/test.io/v1/w?watch=true"
	var ends []context.CancelFunc
	var running sync.WaitGroup
	watch := func(user string) {
		ctx, cancel := context.WithCancel(t.Context())
		ends = append(ends, cancel)
		r := httptest.NewRequest(http.MethodGet, path, nil).WithContext(ctx)
		r.Header.Set("Authorization", user)
		running.Go(func() { s.handler.ServeHTTP(httptest.NewRecorder(), r) })
		<-entered
	}
	watch("mallory")
	watch("mallory")
	wantStatus(t, ask(s, http.MethodGet, path, "Authorization", "mallory"), 429)
	watch("jane")
	wantStatus(t, ask(s, http.MethodGet, path, "Authorization", "joe"), 429)
	if w := ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Authorization", "mallory"); w.Code != http.StatusOK {
		t.Errorf("another request: %d", w.Code)
	}
	for _, end := range ends {
		end()
	}
	running.Wait()
	if held := s.handler.(*filters).admission.longRunning.Held(); held != 0 {
		t.Errorf("%d requests are still counted", held)
	}
}

// TestUnreadByVisitors: two visitors who read no answers kept everybody from logging in, with
// some hundred connections.
func TestUnreadByVisitors(t *testing.T) {
	var writing atomic.Int64
	large := strings.Repeat("a", 64<<20)
	s := newServer(t, func(o *Options) { o.Config.MaxUnauthenticatedInFlight = 4 }, map[string]route.Handler{
		"large": func(w http.ResponseWriter, _ *http.Request) error {
			writing.Add(1)
			defer writing.Add(-1)
			_, _ = io.WriteString(w, large)
			return nil
		},
		"a": text("a"),
	})
	serve(t, s)
	for n := range int64(20) {
		slowRequest(t, s, "GET /kapis/test.io/v1/large HTTP/1.1\r\nHost: a\r\n\r\n")
		wait.For(t, "the answer to begin", func() error {
			if got := writing.Load(); got != n+1 {
				return fmt.Errorf("%d are written", got)
			}
			return nil
		})
	}
	if w := ask(s, http.MethodGet, "/kapis/test.io/v1/a"); w.Code != http.StatusOK {
		t.Errorf("another visitor: %d %s", w.Code, w.Body)
	}
}

// TestWatchesOfVisitors: a watch without credentials holds its place as long as it lasts,
// unlike an answer that is made when it begins.
func TestWatchesOfVisitors(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(o *Options) {
		o.Groups[0].Routes[0].Watchable = true
	}, map[string]route.Handler{"w": func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "{}\n")
		close(begun)
		<-end
		return nil
	}})
	serve(t, s)
	slowRequest(t, s, "GET /kapis/test.io/v1/w?watch=true HTTP/1.1\r\nHost: a\r\n\r\n")
	<-begun
	if held := s.handler.(*filters).admission.longRunning.Held(); held != 1 {
		t.Errorf("%d places are held", held)
	}
	close(end)
}
