package oauthclient

import (
	"net/url"
	"slices"
	"testing"
)

// FuzzRedirectURI: what is allowed is registered, but for the port of a loopback
// address.
func FuzzRedirectURI(f *testing.F) {
	registered := []string{"https://app.example.com/cb?a;b", "http://127.0.0.1:8000/cb", "http://[::1]/cb", "http://localhost/cb", "com.example:/cb"}
	for _, uri := range append(registered, "http://127.0.0.1:1/cb", "http://127.0.0.1:1@evil.example.com/cb", "http://127.0.0.1:8000:1/cb", "http://[::1]:1/cb?", "http://localhost:1/cb#x") {
		f.Add(uri)
	}
	c := &Client{RedirectURIs: registered}
	f.Fuzz(func(t *testing.T, uri string) {
		target, allowed := c.RedirectURI(uri, false)
		if !allowed || slices.Contains(registered, uri) {
			return
		}
		parsed, err := url.Parse(target)
		if err != nil || parsed.Scheme != "http" || !loopback(parsed) || parsed.Port() == "" || parsed.User != nil || parsed.Path != "/cb" || parsed.RawQuery != "" || parsed.Fragment != "" {
			t.Errorf("%q is allowed", uri)
		}
	})
}
