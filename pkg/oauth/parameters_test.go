package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// TestEmptyParameters: a parameter without a value counts as omitted (RFC 6749
// §3.1) at every endpoint.
func TestEmptyParameters(t *testing.T) {
	for _, name := range []string{
		"max_age", "response_mode", "request", "request_uri", "code_challenge_method", "prompt", "id_token_hint", "login_hint", "scope", "nonce", "state",
		"redirect_uri", "claims", "display", "ui_locales", "acr_values", "registration", "unknown",
	} {
		t.Run("authorize "+name, func(t *testing.T) {
			w := newWorld(t)
			// Without a challenge, as clients with a secret may.
			fields := []string{"code_challenge", "", "code_challenge_method", "", name, ""}
			b := w.newBrowser(t)
			to := b.get(t, "/oauth/authorize?"+asked(fields...).Encode()).location(t)
			if to.Path != "/oauth/login" {
				t.Fatalf("to %s", to)
			}
			to = b.get(t, b.logIn(t, to.String(), "bob", bobsPassword).location(t).String()).location(t)
			if to.Query().Get("code") == "" || name == "state" && to.Query().Has("state") {
				t.Errorf("to %s", to)
			}
			if to := b.post(t, "/oauth/authorize", flat(asked(fields...))).location(t); to.Query().Get("code") == "" {
				t.Errorf("by POST to %s", to)
			}
		})
	}
	w := newWorld(t)
	grant := []string{"grant_type", "password", "username", "bob", "password", bobsPassword, "client_id", "kubesphere", "client_secret", "kubesphere"}
	for _, name := range []string{"scope", "provider", "code", "code_verifier", "redirect_uri", "refresh_token", "device_code", "resource", "audience"} {
		if r := w.call(t, "/oauth/token", slices.Concat(grant, []string{name, ""})); r.code != http.StatusOK {
			t.Errorf("token, %s: %d %s", name, r.code, r.body)
		}
	}
	if r := w.call(t, "/oauth/token", []string{"grant_type", "", "client_id", "kubesphere", "client_secret", "kubesphere"}); !strings.Contains(r.body, "grant_type is missing") {
		t.Errorf("an empty grant_type: %s", r.body)
	}
	client := []string{"client_id", "", "client_secret", ""}
	if r := w.call(t, "/oauth/device_authorization", slices.Concat(client, []string{"scope", ""}), basic("kubesphere", "kubesphere")); r.code != http.StatusOK {
		t.Errorf("device: %d %s", r.code, r.body)
	}
	access := w.tokens(t)["access_token"].(string)
	for path, code := range map[string]int{"/oauth/introspect": http.StatusOK, "/oauth/revoke": http.StatusOK} {
		if r := w.call(t, path, slices.Concat(client, []string{"token", access, "token_type_hint", ""}), basic("kubesphere", "kubesphere")); r.code != code {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
		if r := w.call(t, path, slices.Concat(client, []string{"token", ""}), basic("kubesphere", "kubesphere")); !strings.Contains(r.body, "token is missing") {
			t.Errorf("%s with an empty token: %s", path, r.body)
		}
	}
	for _, query := range []string{"id_token_hint=&client_id=&post_logout_redirect_uri=&state=&ui_locales=&logout_hint=", "client_id=kubesphere&post_logout_redirect_uri=https%3A%2F%2Fapp.example.com%2Fbye&state=&id_token_hint="} {
		if r := w.newBrowser(t).get(t, "/oauth/logout?"+query); r.code >= http.StatusBadRequest || strings.Contains(r.header.Get("Location"), "state") {
			t.Errorf("logout: %d %s", r.code, r.header.Get("Location"))
		}
	}
}

// TestRedirectURIKept: a registered URI is kept to the letter; parameters follow it.
func TestRedirectURIKept(t *testing.T) {
	for _, uri := range []string{
		"https://app.example.com/cb?tenant=a;b=c&flag&z=%7e&a=1", "https://app.example.com/cb?", "https://app.example.com/cb?a=1&", "https://app.example.com/cb?a=%zz",
		"https://app.example.com/%7ebob/cb", "https://app.example.com/cb?state=own&code=own", "https://APP.example.com:443/cb?x=a+b%20c", "https://app.example.com?x",
		"com.example.app:/cb?x;y", "com.example.app:cb", "http://127.0.0.1:8000/cb?a;b",
	} {
		t.Run(uri, func(t *testing.T) {
			w := newWorld(t)
			w.Clients.Configured = append(w.Clients.Configured, config.Client{
				Name: "letters", Secret: "s", GrantMethod: config.GrantAuto, RedirectURIs: []string{uri}, PostLogoutRedirectURIs: []string{uri},
			})
			separator := "?"
			switch {
			case strings.HasSuffix(uri, "?"), strings.HasSuffix(uri, "&"):
				separator = ""
			case strings.Contains(uri, "?"):
				separator = "&"
			}
			b := w.newBrowser(t)
			fields := []string{"client_id", "letters", "redirect_uri", uri}
			to := b.get(t, "/oauth/authorize?"+asked(fields...).Encode()).location(t)
			back := b.logIn(t, to.String(), "bob", bobsPassword).location(t)
			for name, answer := range map[string]reply{
				"code":  b.get(t, back.String()),
				"error": b.get(t, "/oauth/authorize?"+asked(append(fields, "prompt", "magic")...).Encode()),
			} {
				added, kept := strings.CutPrefix(answer.header.Get("Location"), uri+separator)
				values, err := url.ParseQuery(added)
				if !kept || err != nil || values.Get(name) == "" || values.Get("state") != "the state" || values.Get("iss") != w.URL {
					t.Errorf("%s: %s", name, answer.header.Get("Location"))
				}
			}
			for state, want := range map[string]string{"": uri, "x y": uri + separator + "state=x+y"} {
				query := pairs("client_id", "letters", "post_logout_redirect_uri", uri, "state", state)
				if got := w.newBrowser(t).get(t, "/oauth/logout?"+query.Encode()).header.Get("Location"); got != want {
					t.Errorf("after logging out: %s", got)
				}
			}
		})
	}
	if got := appendParameters("https://app.example.com/é ü\x7f", url.Values{"a": {"b"}}); got != "https://app.example.com/%C3%A9%20%C3%BC%7F?a=b" {
		t.Errorf("bytes that no header has: %q", got)
	}
}

// TestUnknownScopes: they are ignored (OpenID Connect Core §3.1.2.1).
func TestUnknownScopes(t *testing.T) {
	w := newWorld(t)
	got := w.tokens(t, "scope", "openid magic email user:full")
	if got["scope"] != "openid email" || got["id_token"] == nil {
		t.Errorf("got %v", got)
	}
	refresh := []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string), "scope", "magic"}
	if got := w.call(t, "/oauth/token", refresh, basic("kubesphere", "kubesphere")).json(t); got["error"] != "invalid_scope" {
		t.Errorf("refreshed with an unknown scope alone: %v", got)
	}
	if got := w.call(t, "/oauth/device_authorization", []string{"client_id", "native", "scope", "openid magic"}); got.code != http.StatusOK {
		t.Errorf("a device: %s", got.body)
	}
	to := w.newBrowser(t).get(t, "/oauth/authorize?"+asked("scope", "openid magic").Encode()).location(t)
	if to.Path != "/oauth/login" {
		t.Errorf("a browser: %s", to)
	}
}

// TestLongHint: every ID token that is issued is taken back as a hint, however
// many groups its user is in.
func TestLongHint(t *testing.T) {
	for _, groups := range []int{1, 250, 500, 2000} {
		w := newWorld(t)
		user, err := w.Accounts.Get(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		for n := range groups {
			user.Spec.Groups = append(user.Spec.Groups, strings.Repeat("g", 40)+"-"+strings.Repeat("x", n%7))
		}
		if err := w.cluster.Update(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		b := w.newBrowser(t)
		code := b.code(t, "scope", "openid groups")
		id, _ := w.call(t, "/oauth/token", exchange(code)).json(t)["id_token"].(string)
		claims := claimsOf(t, id)
		listed, _ := claims["groups"].([]any)
		if all := len(listed) == groups+1; all == (claims["hasgroups"] == true) || !all && (len(listed) < 300 || listed[0] != "team") {
			t.Errorf("%d groups: %d are listed, hasgroups %v", groups, len(listed), claims["hasgroups"])
		}
		if to := b.get(t, "/oauth/authorize?"+asked("prompt", "none", "id_token_hint", id).Encode()).location(t); to.Query().Get("code") == "" {
			t.Errorf("%d groups, a token of %d bytes, authorize: %s", groups, len(id), to)
		}
		// Another browser has to log in first; the way there must not get longer.
		other := w.newBrowser(t)
		to := other.get(t, "/oauth/authorize?"+asked("id_token_hint", id).Encode()).location(t)
		if to.Path != "/oauth/login" || len(to.String()) > 2048 {
			t.Errorf("%d groups, another browser: %d bytes to %s", groups, len(to.String()), to.Path)
		}
		r := b.get(t, "/oauth/logout?"+pairs("id_token_hint", id, "post_logout_redirect_uri", "https://app.example.com/bye").Encode())
		if r.header.Get("Location") != "https://app.example.com/bye" {
			t.Errorf("%d groups, a token of %d bytes, logout: %d %s", groups, len(id), r.code, r.body)
		}
	}
}
