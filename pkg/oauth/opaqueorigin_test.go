package oauth

import (
	"net/http"
	"strings"
	"testing"
)

// TestFormsOfOpaqueOrigins: a document without an origin, in which pages of services are
// shown, sends none of our forms, though it knows their tokens and whatever else the browser
// says; nor does one of another site.
func TestFormsOfOpaqueOrigins(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	b.logIn(t, "/oauth/login", "bob", bobsPassword)
	sent := map[string][]option{
		"an opaque origin":           {header("Origin", "null")},
		"one that claims to be ours": {header("Origin", "null"), header("Sec-Fetch-Site", "same-origin")},
		"one the user went to":       {header("Origin", "null"), header("Sec-Fetch-Site", "none")},
		"another site":               {header("Origin", w.URL), header("Sec-Fetch-Site", "cross-site")},
		"the same site":              {header("Sec-Fetch-Site", "same-site")},
	}
	for name, form := range map[string]struct {
		page   string
		post   string
		fields []string
	}{
		"login":   {"/oauth/login", "/oauth/login", []string{"username", "bob", "password", bobsPassword}},
		"consent": {"/oauth/authorize?" + asked("prompt", "consent").Encode(), "/oauth/consent", []string{"continue", "authorize?" + asked().Encode(), "decision", "allow"}},
		"device":  {"/oauth/device", "/oauth/device", []string{"user_code", "BCDF-GHJK", "decision", "allow"}},
		"logout":  {"/oauth/logout", "/oauth/logout", nil},
	} {
		token := ""
		for _, found := range hiddenField.FindAllStringSubmatch(b.get(t, form.page).body, -1) {
			if found[1] == "token" {
				token = found[2]
			}
		}
		before := len(w.sessions(t))
		for from, options := range sent {
			r := b.post(t, form.post, append([]string{"token", token}, form.fields...), append(options, header("Accept", "text/html"))...)
			refused := r.code == http.StatusForbidden || name == "logout" && r.code == http.StatusOK && strings.Contains(r.body, "Log out?")
			if !refused || len(w.sessions(t)) != before {
				t.Errorf("%s from %s: %d %v", name, from, r.code, r.header)
			}
		}
		if name == "consent" || name == "device" {
			if r := b.post(t, form.post, append([]string{"token", token}, form.fields...), header("Origin", w.URL), header("Sec-Fetch-Site", "same-origin"), header("Accept", "text/html")); r.code == http.StatusForbidden {
				t.Errorf("%s from our page: %d %s", name, r.code, r.body)
			}
		}
	}
	if b.get(t, "/oauth/authorize?"+asked().Encode()).location(t).Query().Get("code") == "" {
		t.Error("bob is logged out")
	}
}
