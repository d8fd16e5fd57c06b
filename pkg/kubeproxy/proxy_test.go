package kubeproxy

import (
	"bufio"
	"cmp"
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

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// front is a proxy before a server that plays kube-apiserver.
type front struct {
	*httptest.Server
	proxy   *Proxy
	backend *httptest.Server
	// connections is how many were opened to the backend, and closed how many
	// of them ended.
	connections, closed atomic.Int64
	// extra is what else is known of jane.
	extra map[string][]string
}

// headerUser names another user than jane to a front.
const headerUser = "Test-User"

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
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, err := request.Parse(r)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		name := cmp.Or(r.Header.Get(headerUser), "jane")
		ctx := kuberequest.WithUser(request.WithInfo(r.Context(), info), &user.DefaultInfo{Name: name, Groups: []string{"system:authenticated", "system:masters", "developers"}, Extra: f.extra})
		f.proxy.ServeHTTP(w, r.WithContext(turns.WithHolder(ctx, name)))
	}))
	f.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetWriteBuffer(64 << 10) // so that clients who do not read are noticed early
		}
		return ctx
	}
	f.Start()
	t.Cleanup(f.Close)
	return f
}

// talk is a connection on which a request was answered.
type talk struct {
	net.Conn
	reader   *bufio.Reader
	response *http.Response
}

// raw sends bytes and reads the answer.
func (f *front) raw(t *testing.T, text string) talk {
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
	_ = conn.SetReadDeadline(time.Now().Add(wait.Timeout))
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return talk{conn, reader, response}
}

// What was authorised is what is forwarded: path and query byte by byte, the
// method, and nobody's identity but the caller's.
func TestForwarded(t *testing.T) {
	seen := make(chan *http.Request, 1)
	f := newFront(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r })
	for _, target := range []string{
		"/api/v1/namespaces/a/pods?watch=0&x=%2e%2e%3By", "/api/v1/namespaces/a/services/http:b:80/proxy/x//y%2Fz;q=1/%C3%A9/?a=b&a=%zz", "/api/v1/nodes/n/proxy/",
		"/api/v1/namespaces/a/pods/b/proxy", "/apis/g/v1/things/a%20b", "/api/v1/pods/",
	} {
		if code := f.raw(t, "GET "+target+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").response.StatusCode; code != http.StatusOK {
			t.Errorf("%s: %d", target, code)
			continue
		}
		if got := (<-seen).RequestURI; got != target {
			t.Errorf("%s arrives as %s", target, got)
		}
	}
	headers := strings.Join([]string{
		"Host: x", "Authorization: Bearer theirs", "Cookie: a=b", "Impersonate-User: admin", "Impersonate-Group: system:masters", "Impersonate-Uid: 1", "Impersonate-Extra-A: b",
		"X-Remote-User: admin", "X-Kubesphere-User: admin", "X-HTTP-Method-Override: DELETE", "X-Method-Override: DELETE", "X-Forwarded-For: 1.2.3.4", "X-Real-IP: 1.2.3.4", "Forwarded: for=1.2.3.4",
		"Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.dG9rZW4, v5.channel.k8s.io", "Connection: close, Impersonate-User, Authorization, Impersonate-Group", "",
	}, "\r\n")
	f.raw(t, "GET /api/v1/namespaces/a/services/b/proxy/x?_method=DELETE HTTP/1.1\r\n"+headers+"\r\n")
	got := <-seen
	want := map[string]string{
		"Authorization": "Bearer ours", "Impersonate-User": "jane", "Impersonate-Group": "developers", "Impersonate-Uid": "", "Impersonate-Extra-A": "",
		"X-Remote-User": "", "X-Kubesphere-User": "", "X-Http-Method-Override": "", "X-Method-Override": "", "Cookie": "", "X-Forwarded-For": "127.0.0.1", "X-Real-Ip": "", "Forwarded": "", "Sec-Websocket-Protocol": "v5.channel.k8s.io",
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
	answer := f.raw(t, exec+"GET /api/v1/secrets HTTP/1.1\r\nHost: x\r\n\r\n")
	body, err := io.ReadAll(answer.response.Body)
	if err != nil || answer.response.StatusCode != http.StatusBadRequest || string(body) != "no" || !answer.response.Close {
		t.Errorf("%d %s %v, closing: %v", answer.response.StatusCode, body, err, answer.response.Close)
	}
	if rest, err := io.ReadAll(answer.reader); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") || len(rest) > 0 {
		t.Errorf("the connection goes on: %q, %v", rest, err)
	}
	f.raw(t, exec)
	wait.For(t, "both connections to Kubernetes to be closed", func() error {
		if closed := f.closed.Load(); closed < 2 {
			return fmt.Errorf("%d of %d are closed", closed, f.connections.Load())
		}
		return nil
	})
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
	open := f.raw(t, attach+"\r\n")
	if open.response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d", open.response.StatusCode)
	}
	for _, text := range []string{"one\n", "two\n"} {
		_, _ = io.WriteString(open, text)
		if got, err := open.reader.ReadString('\n'); err != nil || got != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	_ = open.Close()
	select {
	case <-ended: //nolint:errcheck // however it ended
	case <-time.After(wait.Timeout):
		t.Error("Kubernetes is not told that the client went")
	}
	// By a password, which is taken out of the header before.
	f.extra = map[string][]string{authn.ExtraPasswordDigest: {"digest"}}
	for origin, code := range map[string]int{"http://elsewhere.example.com": http.StatusForbidden, "http://x": http.StatusSwitchingProtocols} {
		if crossed := f.raw(t, attach+"Origin: "+origin+"\r\n\r\n"); crossed.response.StatusCode != code {
			t.Errorf("from a page of %s: %d", origin, crossed.response.StatusCode)
		}
	}
	f.extra = map[string][]string{"ks-apiserver.kubesphere.io/session": {"session-1"}}
	if crossed := f.raw(t, attach+"Origin: http://elsewhere.example.com\r\n\r\n"); crossed.response.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("from a page of another site with a token: %d", crossed.response.StatusCode)
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
		case <-time.After(wait.Timeout):
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
		case <-time.After(wait.Timeout):
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
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	var over atomic.Bool // once the answer has begun
	var asked, refused atomic.Int64
	f.proxy.recheck = 20 * time.Millisecond
	f.proxy.options.Allowed = func(*http.Request) error {
		if asked.Add(1); !over.Load() {
			return nil
		}
		refused.Add(1)
		return errors.New("the session has ended")
	}
	response, err := http.Get(f.URL + "/api/v1/pods?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	wait.For(t, "the request to be looked at twice", func() error {
		if asked.Load() < 2 {
			return errors.New("it was not")
		}
		return nil
	})
	over.Store(true)
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, response.Body); ended <- err }()
	select {
	case <-ended: //nolint:errcheck // however it ended
		if refused.Load() != 1 {
			t.Errorf("it was refused %d times", refused.Load())
		}
	case <-time.After(wait.Timeout):
		t.Error("it goes on")
	}
}
