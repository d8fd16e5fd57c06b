package kubeproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
)

// hostile are the headers of a back end that would act on our origin.
func hostile(header http.Header) {
	for _, name := range originHeaders {
		header.Set(name, "*")
	}
	header["Set-Cookie"] = []string{"ks-login=attacker; Path=/oauth", "other=1"}
	header.Set("Content-Security-Policy", "sandbox allow-same-origin allow-scripts allow-top-navigation; script-src 'self'")
	header.Set("X-Content-Type-Options", "sniff")
	header.Set("Content-Type", "text/html")
	header.Set("Etag", `"1"`)
}

// isolated returns what is wrong with the headers of an answer.
func isolated(header http.Header) error {
	for _, name := range originHeaders {
		if values := header.Values(name); len(values) > 0 {
			return fmt.Errorf("%s: %q", name, values)
		}
	}
	if policies := header.Values("Content-Security-Policy"); !slices.Contains(policies, contentPolicy) {
		return fmt.Errorf("the policies are %q", policies)
	}
	if options := header.Values("X-Content-Type-Options"); !slices.Equal(options, []string{"nosniff"}) {
		return fmt.Errorf("the content type options are %q", options)
	}
	return nil
}

// TestContentOfOthers: whatever is answered below the API of Kubernetes does not run in our
// origin and changes nothing for it.
func TestContentOfOthers(t *testing.T) {
	code := http.StatusOK
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		hostile(w.Header())
		if code >= 300 && code < 400 {
			w.Header().Set("Location", "/api/v1/namespaces/a/services/b/proxy/y")
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, "<script>alert(1)</script>")
	})
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, test := range []struct {
		name, method, path string
		code               int
	}{
		{"a page of a service", "GET", "/api/v1/namespaces/a/services/http:evil:80/proxy/x.html", 200},
		{"the root of a service", "GET", "/api/v1/namespaces/a/services/evil/proxy", 200},
		{"a trailing slash", "GET", "/api/v1/namespaces/a/services/evil/proxy/", 200},
		{"a page of a pod", "GET", "/api/v1/namespaces/a/pods/evil:8080/proxy/x.html", 200},
		{"a page of a node", "GET", "/api/v1/nodes/n/proxy/logs/x.html", 200},
		{"the legacy form", "GET", "/api/v1/proxy/namespaces/a/services/evil/x.html", 200},
		{"the answer to a form", "POST", "/api/v1/namespaces/a/services/evil/proxy/x", 201},
		{"an error page", "GET", "/api/v1/namespaces/a/services/evil/proxy/x", 500},
		{"a refusal", "GET", "/api/v1/namespaces/a/services/evil/proxy/x", 401},
		{"a forbidden page", "GET", "/api/v1/namespaces/a/services/evil/proxy/x", 403},
		{"a redirection", "GET", "/api/v1/namespaces/a/services/evil/proxy/x", 302},
		{"a log", "GET", "/api/v1/namespaces/a/pods/evil/log", 200},
		{"an aggregated API", "GET", "/apis/evil.example.io/v1/things", 200},
		{"a subresource of one", "GET", "/apis/evil.example.io/v1/namespaces/a/things/b/page", 200},
		{"its documents", "GET", "/apis/evil.example.io/v1", 200},
		{"a watch", "GET", "/apis/evil.example.io/v1/things?watch=1", 200},
	} {
		code = test.code
		r, _ := http.NewRequestWithContext(t.Context(), test.method, f.URL+test.path, nil)
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if err := isolated(response.Header); err != nil || response.StatusCode != test.code || response.Header.Get("Etag") == "" {
			t.Errorf("%s: %d, %v", test.name, response.StatusCode, err)
		}
	}
}

// TestContentPolicy: scripts of pods have neither our origin nor the page around them.
func TestContentPolicy(t *testing.T) {
	words := strings.Fields(contentPolicy)
	if words[0] != "sandbox" {
		t.Errorf("the policy is %s", contentPolicy)
	}
	for _, word := range words {
		if word == "allow-same-origin" || strings.HasPrefix(word, "allow-top-navigation") || word == "allow-popups-to-escape-sandbox" {
			t.Errorf("the policy has %s", word)
		}
	}
	for _, name := range originHeaders {
		if textproto.CanonicalMIMEHeaderKey(name) != name {
			t.Errorf("%s is not removed: it is not canonical", name)
		}
	}
}

// TestUpgradesSetNoCookies: browsers take cookies from the answer to a handshake.
func TestUpgradesSetNoCookies(t *testing.T) {
	for _, early := range []bool{false, true} {
		f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			if early {
				_, _ = buffer.WriteString("HTTP/1.1 103 Early Hints\r\nSet-Cookie: ks-login=attacker\r\nClear-Site-Data: *\r\n\r\n")
			}
			_, _ = buffer.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSet-Cookie: ks-login=attacker\r\nStrict-Transport-Security: max-age=1\r\nSec-WebSocket-Accept: x\r\n\r\nhello\n")
			_ = buffer.Flush()
			_, _ = io.Copy(io.Discard, buffer)
		})
		open := f.raw(t, "GET /api/v1/namespaces/a/services/b/proxy/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		answer := open.response
		if early {
			if answer.StatusCode != http.StatusEarlyHints {
				t.Fatalf("got %d", answer.StatusCode)
			}
			if err := isolated(answer.Header); err != nil {
				t.Errorf("early hints: %v", err)
			}
			var err error
			if answer, err = http.ReadResponse(open.reader, nil); err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
		}
		if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Sec-Websocket-Accept") != "x" {
			t.Fatalf("got %d, %v", answer.StatusCode, answer.Header)
		}
		if err := isolated(answer.Header); err != nil {
			t.Error(err)
		}
		if line, err := open.reader.ReadString('\n'); err != nil || line != "hello\n" {
			t.Errorf("got %q, %v", line, err)
		}
	}
}

// TestInterimAnswers: answers that precede the one to a request are passed on, without what
// acts on our origin.
func TestInterimAnswers(t *testing.T) {
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		hostile(w.Header())
		w.Header().Set("Link", "</a>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusOK)
	})
	for _, path := range []string{"/api/v1/namespaces/a/services/b/proxy/x", "/apis/evil.example.io/v1/things"} {
		var mu sync.Mutex
		var problem error
		seen := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			mu.Lock()
			defer mu.Unlock()
			seen++
			problem = isolated(http.Header(header))
			return nil
		}})
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, f.URL+path, nil)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		mu.Lock()
		if seen != 1 || problem != nil || isolated(response.Header) != nil {
			t.Errorf("%s: %d before the answer, %v, %v", path, seen, problem, isolated(response.Header))
		}
		mu.Unlock()
	}
}

// TestServiceWorkers: no script from behind Kubernetes' API becomes a service worker.
func TestServiceWorkers(t *testing.T) {
	f := newFront(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/javascript") })
	for _, path := range []string{"/api/v1/namespaces/a/services/b/proxy/sw.js", "/api/v1/namespaces/a/pods/b/proxy/sw.js", "/api/v1/nodes/n/proxy/sw.js", "/apis/evil.example.io/v1/things/sw.js"} {
		for value, want := range map[string]int{"script": http.StatusForbidden, "Script ": http.StatusForbidden, "": http.StatusOK} {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
			if value != "" {
				r.Header.Set("Service-Worker", value)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if response.StatusCode != want {
				t.Errorf("%s with %q: %d", path, value, response.StatusCode)
			}
		}
	}
}
