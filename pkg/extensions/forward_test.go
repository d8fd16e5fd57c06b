package extensions

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// seen is what a back end sees of a request.
type seen struct {
	Method, Host, URI, Body string
	Header                  http.Header
}

// echo answers with what it sees.
func echo(w http.ResponseWriter, r *http.Request) {
	body := make([]byte, 64)
	n, _ := r.Body.Read(body)
	w.Header().Set("X-Version", "1")
	w.Header().Add("Set-Cookie", "ks-login=stolen; Path=/oauth")
	w.Header().Add("Set-Cookie", "theme=dark")
	_ = json.NewEncoder(w).Encode(seen{r.Method, r.Host, r.RequestURI, string(body[:n]), r.Header})
}

// front serves one claim as jane, who is in group staff.
func front(t *testing.T, c *claim, dialer Dialer) *httptest.Server {
	t.Helper()
	b, err := newBackend(c, dialer, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// As authentication does, whose bearer tokens are removed.
		r = r.WithContext(request.NewContext(r.Context(), request.Origin{Authorization: request.ParseAuthorization(r.Header)}, nil))
		r.Header.Del("Authorization")
		r = r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: "jane", Groups: []string{"staff", "system:authenticated"}}))
		b.serve(w, r, "signed")
	}))
	t.Cleanup(func() { server.Close(); b.close() })
	return server
}

func proxyClaim(target string, directives v1alpha1.Directives) *claim {
	return &claim{kind: kindReverseProxy, endpoint: v1alpha1.Endpoint{URL: target}, directives: directives, path: "/proxy"}
}

// reply is an answer without its body.
type reply struct {
	StatusCode int
	Header     http.Header
}

func ask(t *testing.T, method, address, body string, header http.Header) (reply, seen) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		q.Header[name] = values
	}
	answer, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var got seen
	_ = json.NewDecoder(answer.Body).Decode(&got) // errors have other bodies
	return reply{answer.StatusCode, answer.Header}, got
}

// TestIdentity: a back end learns who calls from us alone.
func TestIdentity(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(back.Close)
	sent := http.Header{
		"X-Remote-User": {"admin"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"all"}, "Impersonate-User": {"admin"},
		"X-Kubesphere-Identity": {"forged"}, "Authorization": {"Bearer secret"}, "Cookie": {"__Secure-ks-login=secret; theme=dark"},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Custom": {"kept"}, "X_remote_user": {"admin"}, "X-Remote_group": {"system:masters"},
		// What Connection names is removed, and must not be what we set (CVE-2021-31999).
		"Connection": {"X-Remote-User, X-Kubesphere-Identity, X-Remote-Group"},
		// What applications behind other proxies believe.
		"X-Webauth-User": {"admin"}, "Remote-User": {"admin"}, "X-Forwarded-User": {"admin"}, "Remote_user": {"admin"}, "X-Auth-Request-Email": {"admin@x"}, "X-Auth-Token": {"of-the-application"},
	}
	for name, test := range map[string]struct {
		pass          bool
		authorization string
	}{"a token is not passed on": {false, ""}, "but where it is wanted": {true, "Bearer secret"}} {
		t.Run(name, func(t *testing.T) {
			c := proxyClaim(back.URL, v1alpha1.Directives{HeaderUp: []string{"X-Remote-User admin", "+X-Custom more", "+X-Forwarded-Email of@the.platform"}})
			c.endpoint.PassAuthorization = test.pass
			_, got := ask(t, http.MethodGet, front(t, c, nil).URL+"/proxy/a", "", sent)
			for header, want := range map[string]string{
				"X-Remote-User": "jane", "X-Remote-Group": "staff,system:authenticated", "X_remote_user": "", "X-Remote_group": "", "X-Remote-Extra-Scopes": "", "Impersonate-User": "", "X-Kubesphere-Identity": "signed",
				"X-Webauth-User": "", "Remote-User": "", "X-Forwarded-User": "", "Remote_user": "", "X-Auth-Request-Email": "", "X-Auth-Token": "of-the-application", "X-Forwarded-Email": "of@the.platform",
				"Authorization": test.authorization, "Cookie": "theme=dark", "X-Forwarded-For": "127.0.0.1", "X-Custom": "kept,more",
			} {
				if value := strings.Join(got.Header[header], ","); value != want {
					t.Errorf("%s: %q, want %q", header, value, want)
				}
			}
		})
	}
}

// TestAddress: what goes where.
func TestAddress(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(back.Close)
	for name, test := range map[string]struct {
		base       string
		directives v1alpha1.Directives
		request    string
		want       string // method and URI
		ownHost    bool
	}{
		"as it is":             {"", v1alpha1.Directives{}, "/proxy/a?b=c&d", "GET /proxy/a?b=c&d", false},
		"below a base":         {"/base/", v1alpha1.Directives{}, "/proxy/a", "GET /base/proxy/a", false},
		"without the prefix":   {"/base", v1alpha1.Directives{StripPathPrefix: "/proxy/"}, "/proxy/a/b", "GET /base/a/b", false},
		"the prefix alone":     {"", v1alpha1.Directives{StripPathPrefix: "/proxy"}, "/proxy", "GET /", false},
		"without the suffix":   {"", v1alpha1.Directives{StripPathSuffix: ".html"}, "/proxy/a.html", "GET /proxy/a", false},
		"encoded stays so":     {"", v1alpha1.Directives{StripPathPrefix: "/proxy"}, "/proxy/a%20b%2Cc", "GET /a%20b%2Cc", false},
		"with another method":  {"", v1alpha1.Directives{Method: "head", ChangeOrigin: true}, "/proxy/a", "HEAD /proxy/a", true},
		"a query stays itself": {"", v1alpha1.Directives{}, "/proxy/a?x=%2e%2e;y", "GET /proxy/a?x=%2e%2e;y", false},
	} {
		t.Run(name, func(t *testing.T) {
			var direct seen
			recording := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { direct = seen{r.Method, r.Host, r.RequestURI, "", nil} }))
			defer recording.Close()
			server := front(t, proxyClaim(recording.URL+test.base, test.directives), nil)
			ask(t, http.MethodGet, server.URL+test.request, "", nil)
			if got := direct.Method + " " + direct.URI; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if own := direct.Host == strings.TrimPrefix(recording.URL, "http://"); own != test.ownHost {
				t.Errorf("host %s", direct.Host)
			}
		})
	}
}

// TestAnswers: what comes back.
func TestAnswers(t *testing.T) {
	var to string
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/redirect") {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
			return
		}
		echo(w, r)
	}))
	t.Cleanup(back.Close)
	server := front(t, proxyClaim(back.URL+"/base", v1alpha1.Directives{StripPathPrefix: "/proxy", HeaderDown: []string{"-X-Version", "X-Served by us"}}), nil)
	answer, got := ask(t, http.MethodPost, server.URL+"/proxy/a", "hello", nil)
	if cookies := strings.Join(answer.Header.Values("Set-Cookie"), "|"); cookies != "theme=dark" {
		t.Errorf("cookies: %s", cookies)
	}
	if answer.Header.Get("X-Version") != "" || answer.Header.Get("X-Served") != "by us" || got.Body != "hello" {
		t.Errorf("got %v %+v", answer.Header, got)
	}
	for location, want := range map[string]string{
		back.URL + "/base/next?a=b": "/proxy/next?a=b", "/base/next": "/proxy/next", "next": "next", "https://example.com/x": "https://example.com/x",
	} {
		to = location
		if answer, _ := ask(t, http.MethodGet, server.URL+"/proxy/redirect", "", nil); answer.StatusCode != 302 || answer.Header.Get("Location") != want {
			t.Errorf("%s: %d %s, want %s", location, answer.StatusCode, answer.Header.Get("Location"), want)
		}
	}
	strict := front(t, proxyClaim(back.URL, v1alpha1.Directives{RejectForwardingRedirects: true}), nil)
	to = "https://example.com/x"
	if answer, _ := ask(t, http.MethodGet, strict.URL+"/proxy/redirect", "", nil); answer.StatusCode != http.StatusBadGateway || answer.Header.Get("Location") != "" {
		t.Errorf("a redirect elsewhere: %d", answer.StatusCode)
	}
}

// dialTo connects every Service to one address.
type dialTo struct {
	address string
	dialled string
}

func (d *dialTo) DialService(ctx context.Context, namespace, name string, port int32) (net.Conn, error) {
	d.dialled = fmt.Sprintf("%s/%s:%d", namespace, name, port)
	return (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
}

// TestServices: Services are reached by their own name and certificate.
func TestServices(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(echo))
	t.Cleanup(plain.Close)
	encrypted := httptest.NewTLSServer(http.HandlerFunc(echo)) // its certificate is for example.com
	t.Cleanup(encrypted.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encrypted.Certificate().Raw})
	port := func(n int32) *int32 { return &n }
	for name, test := range map[string]struct {
		endpoint v1alpha1.Endpoint
		address  string
		dialled  string
		code     int
	}{
		"plain":                        {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc"}}, plain.Listener.Addr().String(), "ns/svc:80", 200},
		"another port":                 {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc", Port: port(8080)}}, plain.Listener.Addr().String(), "ns/svc:8080", 200},
		"an unknown authority":         {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc", Port: port(443)}}, encrypted.Listener.Addr().String(), "ns/svc:443", 503},
		"the certificate of another":   {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc"}, CABundle: authority}, encrypted.Listener.Addr().String(), "ns/svc:443", 503},
		"whoever it is":                {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc"}, InsecureSkipTLSVerify: true}, encrypted.Listener.Addr().String(), "ns/svc:443", 200},
		"a URL with its own authority": {v1alpha1.Endpoint{URL: encrypted.URL, CABundle: authority}, "", "", 200},
		"nobody there":                 {v1alpha1.Endpoint{Service: &v1alpha1.ServiceReference{Namespace: "ns", Name: "svc"}}, "127.0.0.1:1", "ns/svc:80", 503},
	} {
		t.Run(name, func(t *testing.T) {
			dialer := &dialTo{address: test.address}
			c := &claim{kind: kindAPIService, endpoint: test.endpoint, path: "/kapis/a.io/v1"}
			answer, got := ask(t, http.MethodGet, front(t, c, dialer).URL+"/kapis/a.io/v1/x", "", nil)
			if answer.StatusCode != test.code || dialer.dialled != test.dialled {
				t.Errorf("%d, dialled %s", answer.StatusCode, dialer.dialled)
			}
			if test.code == 200 && test.endpoint.Service != nil && !strings.HasPrefix(got.Host, "svc.ns.svc") {
				t.Errorf("host %s", got.Host)
			}
		})
	}
}

// TestSlow: nobody waits longer than was agreed, and clients that go away do
// not count as failures.
func TestSlow(t *testing.T) {
	release := make(chan struct{})
	back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(back.Close)
	t.Cleanup(func() { close(release) })
	c := proxyClaim(back.URL, v1alpha1.Directives{})
	one := int32(1)
	c.endpoint.TimeoutSeconds = &one
	b, err := newBackend(c, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	b.serve(w, httptest.NewRequest(http.MethodGet, "/proxy", nil), "signed")
	if w.Code != http.StatusGatewayTimeout {
		t.Errorf("too slow: %d %s", w.Code, w.Body)
	}
	// One that hangs does not take everything this server serves at once.
	for _, user := range []string{"a", "b"} {
		if err := b.waiting.Take(user, mostWaitingOfUser); err != nil {
			t.Fatal(err)
		}
		if err := b.waiting.Take(user, 1); err == nil {
			t.Errorf("user %s takes more than a share", user)
		}
	}
	w = httptest.NewRecorder()
	b.serve(w, httptest.NewRequest(http.MethodGet, "/proxy", nil), "signed")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "1" {
		t.Errorf("one too many: %d %s", w.Code, w.Body)
	}
	for _, user := range []string{"a", "b"} {
		b.waiting.Release(user, mostWaitingOfUser)
	}
	for range 2 * failuresInARow {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("gone"))
		gone, leave := context.WithCancel(ctx)
		time.AfterFunc(time.Millisecond, leave)
		func() {
			defer func() { _ = recover() }() // net/http closes the connection
			b.serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/proxy", nil).WithContext(gone), "signed")
		}()
		cancel()
	}
	// Nor do those whose bodies are broken.
	for range 2 * failuresInARow {
		w = httptest.NewRecorder()
		b.serve(w, httptest.NewRequest(http.MethodPost, "/proxy", iotest.ErrReader(errors.New("invalid byte in chunk length"))), "signed")
		if w.Code != http.StatusBadRequest {
			t.Errorf("a broken body: %d %s", w.Code, w.Body)
		}
	}
	if counts := b.breaker.Counts(); counts.TotalFailures != 0 || b.waiting.Held() != 0 {
		t.Errorf("failures: %+v, and %d wait", counts, b.waiting.Held())
	}
}

// TestStreams: events arrive as they come, and connections may change protocols.
func TestStreams(t *testing.T) {
	next := make(chan string)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "echo" {
			conn, buffered, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
			line, _ := buffered.ReadString('\n')
			_, _ = conn.Write([]byte("again: " + line))
			return
		}
		for text := range next {
			_, _ = w.Write([]byte(text + "\n"))
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(back.Close)
	server := front(t, proxyClaim(back.URL, v1alpha1.Directives{}), nil)

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = conn.Write([]byte("GET /proxy HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"))
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil) //nolint:bodyclose // the connection is closed
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", answer, err)
	}
	_, _ = conn.Write([]byte("hello\n"))
	if line, err := reader.ReadString('\n'); line != "again: hello\n" {
		t.Errorf("%q %v", line, err)
	}

	go func() { next <- "one" }()
	events, err := http.Get(server.URL + "/proxy")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Body.Close() }()
	lines := bufio.NewScanner(events.Body)
	for _, want := range []string{"one", "two"} {
		if want == "two" {
			next <- want // the first one has arrived before the second is sent
		}
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	close(next)
}
