package server

import (
	"net/http"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestCrossOrigin: pages of other origins may call what allows it, and nothing else,
// and also read why a call failed.
func TestCrossOrigin(t *testing.T) {
	s := newServer(t, func(o *Options) {
		for n := range o.Groups[0].Routes {
			r := &o.Groups[0].Routes[n]
			r.CrossOrigin = r.Path == "/open"
		}
	}, map[string]route.Handler{"open": text("open"), "closed": text("closed")})
	const open, closed = "/kapis/test.io/v1/open", "/kapis/test.io/v1/closed"
	for _, test := range []struct {
		name, method, path string
		header             []string
		code               int
		origin, methods    string
	}{
		{"a call", http.MethodPost, open, []string{"Origin", "https://spa.example.com"}, 200, "*", ""},
		{"a call that is refused", http.MethodGet, open, []string{"Origin", "https://spa.example.com", "Authorization", "expired"}, 401, "*", ""},
		{"a preflight", http.MethodOptions, open, []string{"Origin", "https://spa.example.com", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization"}, 204, "*", "GET, POST"},
		{"a preflight from a sandboxed page", http.MethodOptions, open, []string{"Origin", "null", "Access-Control-Request-Method", "GET"}, 204, "*", "GET, POST"},
		{"OPTIONS that is no preflight", http.MethodOptions, open, []string{"Origin", "https://spa.example.com"}, 405, "", ""},
		{"another operation", http.MethodPost, closed, []string{"Origin", "https://spa.example.com"}, 200, "", ""},
		{"a preflight for another operation", http.MethodOptions, closed, []string{"Origin", "https://spa.example.com", "Access-Control-Request-Method", "POST"}, 405, "", ""},
	} {
		w := ask(s, test.method, test.path, test.header...)
		got := w.Header()
		if w.Code != test.code || got.Get("Access-Control-Allow-Origin") != test.origin || got.Get("Access-Control-Allow-Methods") != test.methods || got.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %d %v", test.name, w.Code, got)
		}
	}
}
