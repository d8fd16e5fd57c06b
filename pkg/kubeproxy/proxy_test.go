package kubeproxy

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// front is a proxy before a server that plays kube-apiserver.
type front struct {
	*httptest.Server
	proxy   *Proxy
	backend *httptest.Server
	// connections is how many were opened to the backend, and closed how many
	// of them ended.
	connections, closed atomic.Int64
}

// newFront serves requests as jane, who may see nothing in particular.
func newFront(t *testing.T, kubernetes http.HandlerFunc) *front {
	t.Helper()
	f := &front{}
	f.backend = httptest.NewUnstartedServer(kubernetes)
	f.backend.EnableHTTP2 = true
	f.backend.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			f.connections.Add(1)
		case http.StateClosed:
			f.closed.Add(1)
		}
	}
	f.backend.StartTLS()
	t.Cleanup(f.backend.Close)
	var err error
	f.proxy, err = New(Options{Config: &rest.Config{Host: f.backend.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}, BearerToken: "ours"}, Rights: &authz.RBAC{All: true}})
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := request.Parse(r)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		ctx := kuberequest.WithUser(request.WithInfo(r.Context(), info), &user.DefaultInfo{Name: "jane", Groups: []string{"system:authenticated", "system:masters", "developers"}})
		f.proxy.ServeHTTP(w, r.WithContext(ctx))
	}))
	t.Cleanup(f.Close)
	return f
}

// raw sends bytes and reads the answer.
func (f *front) raw(t *testing.T, text string) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", f.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, reader, response
}

// What was authorised is what is forwarded: path and query byte by byte, the
// method, and nobody's identity but the caller's.
func TestForwarded(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := newFront(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	for _, target := range []string{
		"/api/v1/namespaces/a/pods?watch=0&x=%2e%2e;y", "/api/v1/namespaces/a/services/http:b:80/proxy/x//y%2Fz;q=1/%C3%A9/?a=b&a=%zz", "/api/v1/nodes/n/proxy/",
		"/api/v1/namespaces/a/pods/b/proxy", "/apis/g/v1/things/a%20b", "/api/v1/pods/",
	} {
		_, _, response := f.raw(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s: %d", target, response.StatusCode)
			continue
		}
		if got := (<-seen).RequestURI; got != target {
			t.Errorf("%s arrives as %s", target, got)
		}
	}
	headers := strings.Join([]string{
		"Host: x", "Authorization: Bearer theirs", "Cookie: a=b", "Impersonate-User: admin", "Impersonate-Group: system:masters", "Impersonate-Uid: 1", "Impersonate-Extra-A: b",
		"X-Remote-User: admin", "X-Kubesphere-User: admin", "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4",
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9rZW4, v5.channel.k8s.io", "Connection: close, Impersonate-User, Authorization, Impersonate-Group", "",
	}, "\r\n")
	_, _, _ = f.raw(t, "GET /api/v1/namespaces/a/services/b/proxy/x?_method=DELETE HTTP/1.1\r\n"+headers+"\r\n")
	got := <-seen
	want := map[string]string{
		"Authorization": "Bearer ours", "Impersonate-User": "jane", "Impersonate-Group": "kubesphere:authorized,system:authenticated,developers", "Impersonate-Uid": "", "Impersonate-Extra-A": "",
		"X-Remote-User": "", "X-Kubesphere-User": "", "X-Http-Method-Override": "", "X-Method-Override": "", "Cookie": "", "X-Forwarded-For": "127.0.0.1", "Forwarded": "", "Sec-Websocket-Protocol": "v5.channel.k8s.io",
		"Accept-Encoding": "",
	}
	for name, value := range want {
		if is := strings.Join(got.Header.Values(name), ","); is != value {
			t.Errorf("%s is %q, want %q", name, is, value)
		}
	}
	if got.Method != http.MethodGet {
		t.Errorf("the method is %s", got.Method)
	}
}

// Redirections stay here, and are not followed.
func TestRedirections(t *testing.T) {
	var asked atomic.Int64
	var location string
	var f *front
	f = newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", strings.ReplaceAll(location, "KUBERNETES", f.backend.URL))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	for from, want := range map[string]string{
		"/api/v1/x/": "/api/v1/x/", "x/y?a=b": "x/y?a=b", "KUBERNETES/api/v1/pods?a=b": "/api/v1/pods?a=b",
		"https://elsewhere.example.com/x": "", "//elsewhere.example.com/x": "", "KUBERNETES.example.com/x": "", "javascript:alert(1)": "", "KUBERNETES//elsewhere.example.com": "", "////elsewhere.example.com": "",
		"https://169.254.169.254/latest": "", `/\elsewhere.example.com`: `/%5Celsewhere.example.com`,
	} {
		location = from
		before := asked.Load()
		response, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, f.URL+"/api/v1/namespaces/a/services/b/proxy/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		switch {
		case want == "" && (response.StatusCode != http.StatusBadGateway || response.Header.Get("Location") != ""):
			t.Errorf("%s: %d %s", from, response.StatusCode, response.Header.Get("Location"))
		case want != "" && (response.StatusCode != http.StatusTemporaryRedirect || response.Header.Get("Location") != want):
			t.Errorf("%s: %d %s, want %s", from, response.StatusCode, response.Header.Get("Location"), want)
		}
		if asked.Load() != before+1 {
			t.Errorf("%s was followed", from)
		}
	}
}

const failure = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`

// A refusal of this server is not passed on as if it were the client's.
func TestRefusals(t *testing.T) {
	const admitted, group = `{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}`, `{"kind":"SelfSubjectAccessReview","status":{"allowed":false}}`
	unauthorized := fmt.Sprintf(failure, "Unauthorized", "Unauthorized", 401)
	forbidden := func(message string) string { return fmt.Sprintf(failure, message, "Forbidden", 403) }
	for _, test := range []struct {
		name, path string
		code       int
		answer     string
		review     int
		standing   string
		want       int
		ready      bool
	}{
		{"our token has expired", "/api/v1/pods", 401, unauthorized, 401, unauthorized, 503, false},
		{"a 401 that is over", "/api/v1/pods", 401, unauthorized, 201, admitted, 503, true},
		{"we may not impersonate", "/api/v1/pods", 403, forbidden(`users "jane" is forbidden: User "system:serviceaccount:a:b" cannot impersonate resource "users"`), 403, forbidden("no"), 503, false},
		{"our group has no rights", "/api/v1/pods", 403, forbidden(`pods is forbidden: User "jane" cannot list resource "pods" in API group ""`), 201, group, 503, false},
		{"a further authorizer", "/api/v1/pods", 403, forbidden(`pods is forbidden: User "jane" cannot list resource "pods" in API group ""`), 201, admitted, 403, true},
		{"admission", "/api/v1/namespaces/a/pods", 403, forbidden(`pods "x" is forbidden: exceeded quota: limits`), 201, group, 403, true},
		{"a pod's 401", "/api/v1/namespaces/a/pods/b/proxy/x", 401, "log in first", 201, admitted, 401, true},
		{"a pod's 403", "/api/v1/namespaces/a/pods/b/proxy/x", 403, "no", 201, admitted, 403, true},
		{"our 401 on the way to a pod", "/api/v1/namespaces/a/pods/b/proxy/x", 401, unauthorized, 401, unauthorized, 503, false},
		{"a log of our 401", "/api/v1/namespaces/a/pods/b/log", 401, unauthorized, 401, unauthorized, 503, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lost atomic.Bool
			f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case !strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews"):
					w.WriteHeader(test.code)
					_, _ = io.WriteString(w, test.answer)
				case lost.Load():
					w.WriteHeader(test.review)
					_, _ = io.WriteString(w, test.standing)
				default:
					w.WriteHeader(http.StatusCreated)
					_, _ = io.WriteString(w, admitted)
				}
			})
			if err := f.proxy.Err(); !errors.Is(err, errNotAsked) {
				t.Errorf("before it was asked: %v", err)
			}
			if err := f.proxy.standing.confirm(t.Context(), time.Now()); err != nil || f.proxy.Err() != nil {
				t.Fatalf("in the beginning: %v, %v", err, f.proxy.Err())
			}
			lost.Store(true)
			response, err := http.Get(f.URL + test.path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.want || response.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("got %d %s, want %d", response.StatusCode, text, test.want)
			}
			if test.want == test.code && string(text) != test.answer {
				t.Errorf("it was passed on as %s", text)
			}
			if test.want == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
			if err := f.proxy.Err(); (err == nil) != test.ready {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

// After an upgrade that failed neither connection is used again
// (CVE-2018-1002105).
func TestFailedUpgrade(t *testing.T) {
	var answered atomic.Int64
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		answered.Add(1)
		w.Header().Set("Content-Length", "2")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, "no")
	})
	const exec = "GET /api/v1/namespaces/a/pods/b/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	// What is sent behind is what the attack is about.
	_, reader, response := f.raw(t, exec+"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n")
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusBadRequest || string(body) != "no" || !response.Close {
		t.Errorf("%d %s %v, closing: %v", response.StatusCode, body, err, response.Close)
	}
	if rest, err := io.ReadAll(reader); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") || len(rest) > 0 {
		t.Errorf("the connection goes on: %q, %v", rest, err)
	}
	_, _, _ = f.raw(t, exec)
	for deadline := time.Now().Add(5 * time.Second); f.closed.Load() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d connections to Kubernetes are closed", f.closed.Load(), f.connections.Load())
		}
	}
	if answered.Load() != 2 || f.connections.Load() != 2 {
		t.Errorf("%d requests over %d connections", answered.Load(), f.connections.Load())
	}
}

// Both sides talk after an upgrade, and the end of one is that of the other. A
// page of another site cannot make a browser open one with a password it keeps.
func TestUpgrade(t *testing.T) {
	ended := make(chan error, 1)
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")
		_ = buffer.Flush()
		go func() {
			_, err := io.Copy(conn, buffer)
			_ = conn.Close()
			ended <- err
		}()
	})
	const attach = "POST /api/v1/namespaces/a/pods/b/attach HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
	conn, reader, response := f.raw(t, attach+"\r\n")
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d", response.StatusCode)
	}
	for _, text := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(conn, text)
		if got, err := reader.ReadString('\n'); err != nil || got != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	_ = conn.Close()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("Kubernetes is not told that the client went")
	}
	_, _, response = f.raw(t, attach+"Authorization: Basic eDp5\r\nOrigin: http://elsewhere.example.com\r\n\r\n")
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("from a page of another site: %d", response.StatusCode)
	}
}

// What a client gives up is given up, and what lasts arrives as it comes.
func TestStreams(t *testing.T) {
	gone := make(chan struct{}, 1)
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	})
	for _, path := range []string{"/api/v1/pods?watch=1", "/api/v1/namespaces/a/pods/b/log?follow=true", "/api/v1/namespaces/a/services/b/proxy/events"} {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+path, nil)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(response.Body).ReadString('\n')
		if err != nil || line != "first\n" {
			t.Errorf("%s: %q, %v", path, line, err)
		}
		cancel()
		_ = response.Body.Close()
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: Kubernetes goes on", path)
		}
	}
}

// Bodies are passed on while they come, and as they are.
func TestBodies(t *testing.T) {
	arrived := make(chan string)
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write([]byte(strings.Repeat("x", 1000)))
			_ = z.Close()
			return
		}
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			arrived <- line
		}
	})
	reader, writer := io.Pipe()
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, f.URL+"/api/v1/namespaces/a/pods", reader)
		if response, err := http.DefaultClient.Do(r); err == nil {
			_ = response.Body.Close()
		}
	}()
	for _, line := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(writer, line)
		select {
		case got := <-arrived:
			if got != line {
				t.Errorf("got %q", got)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the body is kept back")
		}
	}
	_ = writer.Close()
	response, err := (&http.Transport{DisableCompression: true}).RoundTrip(httptest.NewRequest(http.MethodGet, f.URL+"/api/v1/namespaces/a/pods", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if z, err := gzip.NewReader(response.Body); err != nil || response.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("what was compressed is not: %v %v", response.Header, err)
	} else if text, err := io.ReadAll(z); err != nil || len(text) != 1000 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

// What may not go on any more ends.
func TestWhileAllowed(t *testing.T) {
	var f *front
	f = newFront(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	var asked atomic.Int64
	f.proxy.recheck = 20 * time.Millisecond
	f.proxy.options.Allowed = func(*http.Request) error {
		if asked.Add(1) < 3 {
			return nil
		}
		return errors.New("the session has ended")
	}
	response, err := http.Get(f.URL + "/api/v1/pods?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, response.Body); ended <- err }()
	select {
	case <-ended:
		if asked.Load() != 3 {
			t.Errorf("it was asked about %d times", asked.Load())
		}
	case <-time.After(5 * time.Second):
		t.Error("it goes on")
	}
}
