package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
)

// FuzzQuery: whatever is read has each parameter once, with a value, in the query
// and in a form alike.
func FuzzQuery(f *testing.F) {
	for _, query := range []string{"", "a=b&c=", "a=b&a=c", "a;b", "%zz", "scope=openid+email&max_age=", "=x&&=", "a=%00"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := parseQuery(query)
		r := httptest.NewRequest(http.MethodPost, "/oauth/token", strings.NewReader(query))
		r.Header.Set("Content-Type", form)
		posted, formErr := readForm(httptest.NewRecorder(), r)
		if (err == nil) != (formErr == nil) && len(query) <= maxForm {
			t.Fatalf("a query gives %v, a form %v", err, formErr)
		}
		for name, given := range values {
			if len(given) != 1 || given[0] == "" || !slices.Equal(posted[name], given) {
				t.Errorf("%q is %q, in a form %q", name, given, posted[name])
			}
		}
	})
}

// FuzzAppendParameters: what is added can be read, and what was there stays.
func FuzzAppendParameters(f *testing.F) {
	for _, uri := range []string{"https://app.example.com/cb", "https://app.example.com/cb?a;b&c", "https://app.example.com/cb?", "com.example:/cb?x&", "https://x/é\r\nSet-Cookie: a=b"} {
		f.Add(uri, "value & more")
	}
	f.Fuzz(func(t *testing.T, uri, value string) {
		if strings.Contains(uri, "#") {
			t.Skip() // never registered
		}
		got := appendParameters(uri, url.Values{"code": {value}})
		escaped := appendParameters(uri, nil)
		added, kept := strings.CutPrefix(got, escaped)
		values, err := url.ParseQuery(strings.TrimLeft(added, "?&"))
		if !kept || err != nil || values.Get("code") != value {
			t.Errorf("%q with %q is %q", uri, value, got)
		}
		if strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c > '~' }) {
			t.Errorf("%q is no header", got)
		}
	})
}

// FuzzScopes: only known scopes are granted, in their order.
func FuzzScopes(f *testing.F) {
	f.Add("openid profile magic", "openid")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, requested, restriction string) {
		c := &oauthclient.Client{ScopeRestrictions: strings.Fields(restriction)}
		scopes, err := scopesOf(requested, c)
		if err != nil {
			return
		}
		if len(strings.Fields(requested)) == 0 {
			requested = restriction // what a client gets that names none
		}
		last := -1
		for _, scope := range scopes {
			at := slices.Index(supportedScopes(), scope)
			if at <= last || len(c.ScopeRestrictions) > 0 && !slices.Contains(c.ScopeRestrictions, scope) || !slices.Contains(strings.Fields(requested), scope) {
				t.Errorf("%q of %q gives %q", requested, restriction, scopes)
			}
			last = at
		}
	})
}
