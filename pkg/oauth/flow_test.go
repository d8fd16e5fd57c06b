package oauth

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func claimsOf(t testing.TB, text any) map[string]any {
	t.Helper()
	parts := strings.Split(text.(string), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestCodeFlow: from the first click to the claims, and back by a refresh.
func TestCodeFlow(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	to := b.get(t, "/oauth/authorize?"+asked().Encode()).location(t)
	if to.Path != "/oauth/login" || to.Host != "" {
		t.Fatalf("not to the login page: %s", to)
	}
	if failed := b.logIn(t, to.String(), "bob", "wrong"); failed.code != http.StatusUnauthorized || !strings.Contains(failed.body, `role="alert"`) || !strings.Contains(failed.body, `value="bob"`) || strings.Contains(failed.body, "wrong") {
		t.Errorf("a wrong password: %d %s", failed.code, failed.body)
	}
	back := b.logIn(t, to.String(), "bob", bobsPassword).location(t)
	to = b.get(t, back.String()).location(t)
	if !strings.HasPrefix(to.String(), callbackURI+"?") || to.Query().Get("state") != "the state" || to.Query().Get("iss") != w.URL || len(to.Query()) != 3 {
		t.Fatalf("to the client: %s", to)
	}
	answer := w.call(t, "/oauth/token", exchange(to.Query().Get("code")))
	got := answer.json(t)
	if answer.code != http.StatusOK || got["scope"] != "openid profile email groups" {
		t.Fatalf("%d %s", answer.code, answer.body)
	}
	id := claimsOf(t, got["id_token"])
	for name, want := range map[string]any{"sub": "bob", "nonce": "the nonce", "name": "BOB", "email": "bob@example.com", "preferred_username": "bob", "iss": w.URL, "azp": "kubesphere", "auth_time": float64(w.now().Unix())} {
		if id[name] != want {
			t.Errorf("%s: %v", name, id[name])
		}
	}
	access := claimsOf(t, got["access_token"])
	stored, err := w.Sessions.Get(t.Context(), access["sid"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if spec := stored.Spec; spec.Address != "127.0.0.1" || spec.UserAgent == "" || spec.Parent == "" || len(spec.Scopes) != 4 || spec.Audience[0] != w.URL || spec.AuthenticationMethods[0] != "pwd" || spec.AuthenticationTime == nil {
		t.Errorf("stored %+v", spec)
	}
	if !w.accepts(t, got["access_token"]) || w.accepts(t, got["id_token"]) || w.accepts(t, got["refresh_token"]) || w.accepts(t, to.Query().Get("code")) {
		t.Error("P20: access tokens and nothing else are credentials")
	}
	w.pass(time.Hour)
	next := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)}, basic("kubesphere", "kubesphere")).json(t)
	if again := claimsOf(t, next["id_token"]); again["auth_time"] != id["auth_time"] || again["nonce"] != nil || again["sub"] != "bob" {
		t.Errorf("refreshed %v", again)
	}
	// A second client of the same browser needs no login.
	if to := b.get(t, "/oauth/authorize?"+asked("client_id", "native", "redirect_uri", "http://127.0.0.1:4711/cb").Encode()).location(t); to.Host != "127.0.0.1:4711" || to.Query().Get("code") == "" {
		t.Errorf("single sign-on: %s", to)
	}
}

// TestP3Code: a code is for one client, one address, one verifier, one use, and
// one minute.
func TestP3Code(t *testing.T) {
	for _, test := range []struct {
		name   string
		ask    []string
		fields []string
		after  time.Duration
		ok     bool
	}{
		{name: "as it was asked for", ok: true},
		{name: "as KubeSphere 3.x calls it", fields: []string{"grant_type", "code"}, ok: true},
		{name: "in the last second", after: time.Minute, ok: true},
		{name: "too late", after: time.Minute + time.Second},
		{name: "another client", fields: []string{"client_id", "asking", "client_secret", "asking secret"}},
		{name: "another redirect URI", fields: []string{"redirect_uri", "https://app.example.com/bye"}},
		{name: "no redirect URI", fields: []string{"redirect_uri", ""}},
		{name: "another verifier", fields: []string{"code_verifier", strings.Repeat("x", 43)}},
		{name: "no verifier", fields: []string{"code_verifier", ""}},
		{name: "the challenge as verifier", fields: []string{"code_verifier", challengeOf(verifier)}},
		{name: "without PKCE, of a client with a secret", ask: []string{"code_challenge", "", "code_challenge_method", ""}, fields: []string{"code_verifier", ""}, ok: true},
		{name: "a verifier where no challenge was", ask: []string{"code_challenge", "", "code_challenge_method", ""}},
		{name: "no redirect URI at all", ask: []string{"redirect_uri", ""}, fields: []string{"redirect_uri", ""}, ok: true},
		{name: "a redirect URI where none was", ask: []string{"redirect_uri", ""}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			code := w.newBrowser(t).code(t, test.ask...)
			w.pass(test.after)
			answer := w.call(t, "/oauth/token", exchange(code, test.fields...))
			if ok := answer.code == http.StatusOK; ok != test.ok || !ok && answer.json(t)["error"] != "invalid_grant" {
				t.Errorf("got %d %s", answer.code, answer.body)
			}
		})
	}
	t.Run("a second use revokes what the first issued", func(t *testing.T) {
		w := newWorld(t)
		code := w.newBrowser(t).code(t)
		first := w.call(t, "/oauth/token", exchange(code)).json(t)
		if !w.accepts(t, first["access_token"]) {
			t.Fatal("not even once")
		}
		if again := w.call(t, "/oauth/token", exchange(code)); again.code != http.StatusBadRequest {
			t.Errorf("twice: %d", again.code)
		}
		if w.accepts(t, first["access_token"]) {
			t.Error("the access token is still accepted")
		}
		if r := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", first["refresh_token"].(string), "client_id", "kubesphere", "client_secret", "kubesphere"}); r.code != http.StatusBadRequest {
			t.Error("the refresh token is still accepted")
		}
	})
	t.Run("whoever guesses wrong has no second try", func(t *testing.T) {
		w := newWorld(t)
		code := w.newBrowser(t).code(t)
		w.call(t, "/oauth/token", exchange(code, "code_verifier", strings.Repeat("x", 43)))
		if r := w.call(t, "/oauth/token", exchange(code)); r.code != http.StatusBadRequest {
			t.Errorf("got %d", r.code)
		}
	})
	t.Run("of many at once at most one succeeds, and nobody keeps a session", func(t *testing.T) {
		w := newWorld(t)
		code := w.newBrowser(t).code(t)
		var running sync.WaitGroup
		answers := make([]reply, 8)
		for n := range answers {
			running.Go(func() { answers[n] = w.call(t, "/oauth/token", exchange(code)) })
		}
		running.Wait()
		succeeded := 0
		for _, answer := range answers {
			if answer.code == http.StatusOK {
				succeeded++
				if w.accepts(t, answer.json(t)["access_token"]) {
					t.Error("a token of a code that was used twice is accepted")
				}
			}
		}
		if succeeded > 1 {
			t.Errorf("%d succeeded", succeeded)
		}
	})
	t.Run("nothing of it is stored", func(t *testing.T) {
		w := newWorld(t)
		code := w.newBrowser(t).code(t)
		_, secret, _ := strings.Cut(code, ".")
		stored, err := json.Marshal(w.sessions(t))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(stored), secret) || secret == "" {
			t.Error("the code is in the cluster")
		}
	})
}

// TestAuthorizeRefuses: what is wrong is told to the client, unless it is not
// sure who that is (RFC 6749 §4.1.2.1).
func TestAuthorizeRefuses(t *testing.T) {
	for _, test := range []struct {
		name  string
		ask   []string
		error string // "" for a page, which redirects nowhere
	}{
		{"P2: unknown client", []string{"client_id", "nobody"}, ""},
		{"P2: no client", []string{"client_id", ""}, ""},
		{"P2: another redirect URI", []string{"redirect_uri", "https://evil.example.com/"}, ""},
		{"P2: a longer redirect URI", []string{"redirect_uri", callbackURI + "/x"}, ""},
		{"P2: a redirect URI with a query", []string{"redirect_uri", callbackURI + "?x=y"}, ""},
		{"P2: a script", []string{"redirect_uri", "javascript:alert(1)"}, ""},
		{"too long", []string{"state", strings.Repeat("x", maxAuthorize)}, ""},
		{"no response type", []string{"response_type", ""}, "invalid_request"},
		{"implicit", []string{"response_type", "token"}, "unsupported_response_type"},
		{"hybrid", []string{"response_type", "code id_token"}, "unsupported_response_type"},
		{"fragment", []string{"response_mode", "fragment"}, "invalid_request"},
		{"plain PKCE", []string{"code_challenge_method", "plain"}, "invalid_request"},
		{"PKCE without a method, which means plain", []string{"code_challenge_method", ""}, "invalid_request"},
		{"a challenge that is none", []string{"code_challenge", "short"}, "invalid_request"},
		{"a public client without PKCE", []string{"client_id", "native", "redirect_uri", "http://127.0.0.1:1/cb", "code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		{"a scope the client may not have", []string{"client_id", "asking", "scope", "openid groups"}, "invalid_scope"},
		{"a client that may not", []string{"client_id", "denied"}, "access_denied"},
		{"request object", []string{"request", "x.y.z"}, "request_not_supported"},
		{"request URI", []string{"request_uri", "https://evil.example.com/"}, "request_uri_not_supported"},
		{"prompt none with another", []string{"prompt", "none login"}, "invalid_request"},
		{"unknown prompt", []string{"prompt", "magic"}, "invalid_request"},
		{"max_age that is no number", []string{"max_age", "-1"}, "invalid_request"},
		{"nobody is logged in", []string{"prompt", "none"}, "login_required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			for _, answer := range []reply{
				w.newBrowser(t).get(t, "/oauth/authorize?"+asked(test.ask...).Encode()),
				w.newBrowser(t).post(t, "/oauth/authorize", flat(asked(test.ask...)), header("Accept", "text/html")),
			} {
				if test.error == "" {
					if answer.code != http.StatusBadRequest || answer.header.Get("Location") != "" || !strings.Contains(answer.body, "This did not work") {
						t.Errorf("got %d %v", answer.code, answer.header)
					}
					continue
				}
				query := answer.location(t).Query()
				if query.Get("error") != test.error || query.Get("state") != "the state" || query.Get("iss") != w.URL || query.Has("code") {
					t.Errorf("got %s", answer.header.Get("Location"))
				}
			}
			if len(w.sessions(t)) != 0 {
				t.Error("a session was started")
			}
		})
	}
	w := newWorld(t)
	if r := w.newBrowser(t).get(t, "/oauth/authorize?"+asked().Encode()+"&client_id=native"); r.code != http.StatusBadRequest || r.header.Get("Location") != "" {
		t.Errorf("a parameter twice: %d", r.code)
	}
}

func flat(values map[string][]string) []string {
	var all []string
	for name, given := range values {
		all = append(all, name, given[0])
	}
	return all
}

// TestPrompts: when a user who is logged in has to log in or agree again.
func TestPrompts(t *testing.T) {
	const toLogin, toClient, asks = "login", "client", "asks"
	for _, test := range []struct {
		name  string
		ask   []string
		after time.Duration
		want  string
	}{
		{"single sign-on", nil, time.Hour, toClient},
		{"without a prompt", []string{"prompt", "none"}, 0, toClient},
		{"log in again", []string{"prompt", "login"}, 0, toLogin},
		{"choose an account", []string{"prompt", "select_account"}, 0, toLogin},
		{"logged in lately", []string{"max_age", "60"}, time.Minute, toClient},
		{"logged in too long ago", []string{"max_age", "60"}, time.Minute + 2*time.Second, toLogin},
		{"log in now", []string{"max_age", "0"}, 2 * time.Second, toLogin},
		{"agree again, a client nobody is asked for", []string{"prompt", "consent"}, 0, asks},
		{"a client that asks", []string{"client_id", "asking", "scope", "openid email"}, 0, asks},
		{"idle for too long", nil, 4*time.Hour + time.Second, toLogin},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			b := w.newBrowser(t)
			b.logIn(t, "/oauth/login", "bob", bobsPassword)
			w.pass(test.after)
			answer := b.get(t, "/oauth/authorize?"+asked(test.ask...).Encode())
			got := asks
			if answer.code == http.StatusFound {
				if got = toClient; answer.location(t).Path == "/oauth/login" {
					got = toLogin
				} else if answer.location(t).Query().Get("code") == "" {
					t.Fatalf("%s", answer.header.Get("Location"))
				}
			} else if !strings.Contains(answer.body, `value="allow"`) {
				t.Fatalf("%d %s", answer.code, answer.body)
			}
			if got != test.want {
				t.Errorf("got %s", got)
			}
			if got == toLogin { // once, not for ever
				again := b.logIn(t, answer.location(t).String(), "bob", bobsPassword).location(t)
				w.pass(2 * time.Second) // people and networks are slow
				to := b.get(t, again.String()).location(t)
				if to.Query().Get("code") == "" {
					t.Errorf("after it: %s", to)
				}
			}
		})
	}
	t.Run("somebody else is logged in", func(t *testing.T) {
		w := newWorld(t)
		b := w.newBrowser(t)
		hint := w.call(t, "/oauth/token", exchange(b.code(t))).json(t)["id_token"].(string)
		other := w.newBrowser(t)
		other.logIn(t, "/oauth/login", "carol", "carols")
		if to := other.get(t, "/oauth/authorize?"+asked("id_token_hint", hint, "prompt", "none").Encode()).location(t); to.Query().Get("error") != "login_required" {
			t.Errorf("carol for bob: %s", to)
		}
		if to := b.get(t, "/oauth/authorize?"+asked("id_token_hint", hint, "prompt", "none").Encode()).location(t); to.Query().Get("code") == "" {
			t.Errorf("bob for bob: %s", to)
		}
	})
}

// TestConsent: asked once for what is asked for, and not for another's sake.
func TestConsent(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	b.logIn(t, "/oauth/login", "bob", bobsPassword)
	ask := func(b *browser, fields ...string) reply {
		return b.get(t, "/oauth/authorize?"+asked(append([]string{"client_id", "asking", "scope", "openid"}, fields...)...).Encode())
	}
	if to := ask(b, "prompt", "none").location(t); to.Query().Get("error") != "consent_required" {
		t.Errorf("without a prompt: %s", to)
	}
	page := ask(b)
	if page.code != http.StatusOK || !strings.Contains(page.body, "asking") || !strings.Contains(page.header.Get("Content-Security-Policy"), "form-action 'self' https://app.example.com;") {
		t.Fatalf("%d %v %s", page.code, page.header, page.body)
	}
	if to := b.submit(t, "/oauth/consent", page, "decision", "deny").location(t); to.Query().Get("error") != "access_denied" || to.Query().Get("state") != "the state" {
		t.Errorf("no: %s", to)
	}
	if again := ask(b); again.code != http.StatusOK {
		t.Error("a no is remembered as a yes")
	}
	if to := b.submit(t, "/oauth/consent", page, "decision", "allow").location(t); to.Query().Get("code") == "" {
		t.Errorf("yes: %s", to)
	}
	if to := ask(b).location(t); to.Query().Get("code") == "" {
		t.Errorf("asked again: %s", to)
	}
	if ask(b, "scope", "openid email").code != http.StatusOK {
		t.Error("not asked for more")
	}
	if ask(b, "prompt", "consent").code != http.StatusOK {
		t.Error("not asked though the client wants it")
	}
	carol := w.newBrowser(t)
	carol.logIn(t, "/oauth/login", "carol", "carols")
	if ask(carol).code != http.StatusOK {
		t.Error("carol agreed by bob's word")
	}
	// Somebody gets the name of a user who is gone.
	found := userNamed("bob", nil)
	found.UID = "another"
	if agreed, err := w.Sessions.Consented(t.Context(), found, "asking", nil); err != nil || agreed {
		t.Errorf("a consent outlives its user: %v %v", agreed, err)
	}
}
