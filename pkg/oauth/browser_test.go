package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// TestPagesAreSafe: pages load and run nothing, are framed by nobody, and show
// what came in as text.
func TestPagesAreSafe(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	evil := `"><script>alert(1)</script>`
	login := b.get(t, "/oauth/login?"+url.Values{"continue": {"authorize?" + asked("login_hint", evil, "state", evil).Encode()}}.Encode())
	b.logIn(t, "/oauth/login", "bob", bobsPassword)
	for name, page := range map[string]reply{
		"login":   login,
		"consent": b.get(t, "/oauth/authorize?"+asked("prompt", "consent", "state", evil).Encode()),
		"device":  b.get(t, "/oauth/device?"+url.Values{"user_code": {evil}}.Encode()),
		"logout":  b.get(t, "/oauth/logout?"+url.Values{"state": {evil}}.Encode()),
		"error":   b.get(t, "/oauth/authorize?"+asked("client_id", evil).Encode()),
	} {
		policy := page.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") ||
			page.header.Get("X-Frame-Options") != "DENY" || page.header.Get("X-Content-Type-Options") != "nosniff" || page.header.Get("Referrer-Policy") == "" {
			t.Errorf("%s: %v", name, page.header)
		}
		if strings.Contains(page.body, "<script") || !strings.Contains(page.body, "Product &lt;X&gt;") || !strings.Contains(page.body, `lang="en"`) {
			t.Errorf("%s: %s", name, page.body)
		}
	}
}

// TestCookies: scripts and other sites do not get at them.
func TestCookies(t *testing.T) {
	w := newWorld(t)
	for issuer, want := range map[string]struct {
		prefix, path string
		secure       bool
	}{
		w.URL:                         {"", "/oauth", false},
		"https://ks.example.com":      {"__Secure-", "/oauth", true},
		"https://example.com/ks/base": {"__Secure-", "/ks/base/oauth", true},
	} {
		w.Tokens = token.NewService(issuer, time.Second, w.Tokens.Source, w.now, w.Tokens.Random)
		response, err := http.Get(w.URL + "/oauth/login")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		cookie := response.Cookies()[0]
		if cookie.Name != want.prefix+cookieVisit || cookie.Path != want.path || cookie.Secure != want.secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			t.Errorf("%s: %+v", issuer, cookie)
		}
	}
}

// TestForgedForms: what another page sends does nothing.
func TestForgedForms(t *testing.T) {
	w := newWorld(t)
	b, mallory := w.newBrowser(t), w.newBrowser(t)
	hers := hiddenField.FindStringSubmatch(mallory.get(t, "/oauth/login").body)[2]
	page := b.get(t, "/oauth/login")
	own := hiddenField.FindStringSubmatch(page.body)[2]
	login := func(token string, options ...option) reply {
		return b.post(t, "/oauth/login", []string{"token", token, "username", "bob", "password", bobsPassword}, append(options, header("Accept", "text/html"))...)
	}
	same := header("Sec-Fetch-Site", "same-origin")
	for name, r := range map[string]reply{
		"no token":            login("", same),
		"mallory's token":     login(hers, same),
		"from another site":   login(own, header("Sec-Fetch-Site", "cross-site")),
		"from a subdomain":    login(own, header("Sec-Fetch-Site", "same-site")),
		"of another origin":   login(own, header("Origin", "https://evil.example.com")),
		"of an opaque origin": login(own, header("Origin", "null")),
		"without cookies":     w.newBrowser(t).post(t, "/oauth/login", []string{"token", own, "username", "bob", "password", bobsPassword}, same, header("Accept", "text/html")),
	} {
		if r.code != http.StatusForbidden || len(w.sessions(t)) != 0 {
			t.Errorf("%s: %d", name, r.code)
		}
	}
	if r := b.submit(t, "/oauth/login", page, "username", "bob", "password", bobsPassword); r.code != http.StatusSeeOther {
		t.Fatalf("the form itself: %d", r.code)
	}
	consent := b.get(t, "/oauth/authorize?"+asked("prompt", "consent").Encode())
	mallory.logIn(t, "/oauth/login", "carol", "carols")
	for name, r := range map[string]reply{
		"the token of the login form": b.post(t, "/oauth/consent", []string{"token", own, "continue", "authorize?" + asked().Encode(), "decision", "allow"}, same),
		"in mallory's browser":        mallory.submit(t, "/oauth/consent", consent, "decision", "allow"),
		"logging out":                 b.post(t, "/oauth/logout", []string{"token", own}, header("Sec-Fetch-Site", "cross-site"), header("Accept", "text/html")),
	} {
		if r.code == http.StatusSeeOther {
			t.Errorf("%s: %v", name, r.header)
		}
	}
	if b.get(t, "/oauth/authorize?"+asked().Encode()).location(t).Query().Get("code") == "" {
		t.Error("a forged form logged bob out")
	}
}

// TestLoginLeadsNowhereElse: the login page is no open redirect.
func TestLoginLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	for _, continued := range []string{"https://evil.example.com/", "//evil.example.com", "/\\evil.example.com", "javascript:alert(1)", "authorize/../../evil", "", "device#x", "login", "logout?x"} {
		b := w.newBrowser(t)
		to := b.logIn(t, "/oauth/login?"+url.Values{"continue": {continued}}.Encode(), "bob", bobsPassword).location(t)
		if to.IsAbs() || to.Host != "" || to.Path != "/oauth/login" {
			t.Errorf("%q leads to %s", continued, to)
		}
	}
}

// TestP13Logout: access and refresh tokens end, and the browser's session with
// what was started from it; only a registered address is gone to.
func TestP13Logout(t *testing.T) {
	start := func(t *testing.T, fields ...string) (*world, *browser, map[string]any) {
		w := newWorld(t)
		b := w.newBrowser(t)
		return w, b, w.call(t, "/oauth/token", exchange(b.code(t, fields...))).json(t)
	}
	loggedIn := func(b *browser) bool {
		return b.get(t, "/oauth/authorize?"+asked().Encode()).location(t).Query().Get("code") != ""
	}
	t.Run("bearer", func(t *testing.T) {
		w, b, got := start(t)
		r := w.newBrowser(t).get(t, "/oauth/logout", bearer(got["access_token"].(string)), header("Accept", "*/*"))
		if r.code != http.StatusOK || r.body != `{"message":"success"}`+"\n" {
			t.Errorf("%d %s", r.code, r.body)
		}
		if w.accepts(t, got["access_token"]) || loggedIn(b) {
			t.Error("not logged out")
		}
		if r := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)}, basic("kubesphere", "kubesphere")); r.code != http.StatusBadRequest {
			t.Error("the refresh token is accepted")
		}
	})
	for _, test := range []struct {
		name   string
		fields []string
		to     string
		code   int
	}{
		{"to a registered address", []string{"post_logout_redirect_uri", "https://app.example.com/bye", "state", "s"}, "https://app.example.com/bye?state=s", 302},
		{"to no address", nil, "", 200},
		{"P2: to another address", []string{"post_logout_redirect_uri", "https://evil.example.com/"}, "", 200},
		{"P2: to a longer one", []string{"post_logout_redirect_uri", "https://app.example.com/bye/x"}, "", 200},
		{"for another client", []string{"client_id", "native"}, "", 400},
	} {
		t.Run("ID token, "+test.name, func(t *testing.T) {
			w, b, got := start(t)
			w.pass(3 * time.Hour) // it is expired
			r := b.get(t, "/oauth/logout?"+pairs(append(test.fields, "id_token_hint", got["id_token"].(string))...).Encode())
			if r.code != test.code || r.header.Get("Location") != test.to {
				t.Errorf("%d %s", r.code, r.header.Get("Location"))
			}
			if loggedIn(b) != (test.code == 400) {
				t.Error("the browser's session")
			}
		})
	}
	t.Run("what is no ID token ends nothing", func(t *testing.T) {
		w, b, got := start(t)
		for _, hint := range []string{"x", got["access_token"].(string), got["id_token"].(string) + "x"} {
			if r := b.get(t, "/oauth/logout?"+pairs("id_token_hint", hint).Encode()); r.code != http.StatusBadRequest {
				t.Errorf("%d", r.code)
			}
		}
		if !w.accepts(t, got["access_token"]) || !loggedIn(b) {
			t.Error("it did")
		}
	})
	t.Run("a link only asks", func(t *testing.T) {
		w, b, got := start(t, "scope", "openid")
		page := b.get(t, "/oauth/logout?"+pairs("client_id", "kubesphere", "post_logout_redirect_uri", "https://app.example.com/bye").Encode())
		if page.code != http.StatusOK || !loggedIn(b) || !strings.Contains(page.body, "Log out?") {
			t.Fatalf("%d %s", page.code, page.body)
		}
		to := b.submit(t, "/oauth/logout", page)
		if to.header.Get("Location") != "https://app.example.com/bye" || loggedIn(b) || w.accepts(t, got["access_token"]) {
			t.Errorf("%d %v", to.code, to.header)
		}
	})
	t.Run("offline access goes on", func(t *testing.T) {
		w, b, got := start(t, "scope", "openid offline_access")
		b.submit(t, "/oauth/logout", b.get(t, "/oauth/logout"))
		if loggedIn(b) || !w.accepts(t, got["access_token"]) {
			t.Error("or the browser does")
		}
	})
	t.Run("nobody", func(t *testing.T) {
		w := newWorld(t)
		for _, r := range []reply{w.newBrowser(t).get(t, "/oauth/logout", header("Accept", "*/*")), w.call(t, "/oauth/logout", nil)} {
			if r.code != http.StatusOK || r.body != `{"message":"success"}`+"\n" {
				t.Errorf("%d %s", r.code, r.body)
			}
		}
	})
}

// TestSingleLogin: ks#5456.
func TestSingleLogin(t *testing.T) {
	w := newWorld(t)
	w.MultipleLogin = false
	first := w.newBrowser(t)
	got := w.call(t, "/oauth/token", exchange(first.code(t))).json(t)
	if !w.accepts(t, got["access_token"]) {
		t.Error("a login ends what came of it")
	}
	second := w.newBrowser(t)
	second.code(t)
	if w.accepts(t, got["access_token"]) {
		t.Error("the older login goes on")
	}
	if to := first.get(t, "/oauth/authorize?"+asked().Encode()).location(t); to.Path != "/oauth/login" {
		t.Errorf("and its browser: %s", to)
	}
}

// TestAnotherUserLogsIn: what the former one began in the browser ends.
func TestAnotherUserLogsIn(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	got := w.call(t, "/oauth/token", exchange(b.code(t))).json(t)
	b.logIn(t, "/oauth/login?continue="+url.QueryEscape("device?user_code="), "carol", "carols")
	if w.accepts(t, got["access_token"]) {
		t.Error("bob's token is accepted after carol took the browser")
	}
	for _, stored := range w.sessions(t) {
		if stored.Spec.Browser && stored.Spec.User == "bob" && !stored.Spec.Revoked {
			t.Error("bob's browser session goes on")
		}
	}
}

// TestDevice: RFC 8628.
func TestDevice(t *testing.T) {
	ask := func(t *testing.T, w *world) map[string]any {
		return w.call(t, "/oauth/device_authorization", []string{"client_id", "native", "scope", "openid email"}).json(t)
	}
	poll := func(t *testing.T, w *world, got map[string]any) map[string]any {
		return w.call(t, "/oauth/token", []string{"grant_type", grantDevice, "client_id", "native", "device_code", got["device_code"].(string)}).json(t)
	}
	decide := func(t *testing.T, b *browser, code, decision string) reply {
		page := b.get(t, "/oauth/device?user_code="+url.QueryEscape(code))
		if page.code == http.StatusFound {
			page = b.get(t, b.logIn(t, page.location(t).String(), "bob", bobsPassword).location(t).String())
		}
		shown := b.submit(t, "/oauth/device", page, "user_code", code)
		if shown.code != http.StatusOK {
			return shown
		}
		if !strings.Contains(shown.body, "native") || !strings.Contains(shown.body, "127.0.0.1") {
			t.Fatalf("it does not say what is approved: %s", shown.body)
		}
		return b.submit(t, "/oauth/device", shown, "decision", decision)
	}
	t.Run("approved", func(t *testing.T) {
		w := newWorld(t)
		got := ask(t, w)
		if got["verification_uri"] != w.URL+"/oauth/device" || got["expires_in"] != 600.0 || got["interval"] != 5.0 || !strings.HasSuffix(got["verification_uri_complete"].(string), got["user_code"].(string)) {
			t.Fatalf("%v", got)
		}
		if r := poll(t, w, got); r["error"] != "authorization_pending" {
			t.Errorf("%v", r)
		}
		b := w.newBrowser(t)
		typed := strings.ToLower(strings.ReplaceAll(got["user_code"].(string), "-", " "))
		if r := decide(t, b, typed, "allow"); !strings.Contains(r.body, "Device connected") {
			t.Fatalf("%d %s", r.code, r.body)
		}
		tokens := poll(t, w, got)
		if !w.accepts(t, tokens["access_token"]) || claimsOf(t, tokens["id_token"])["email"] != "bob@example.com" {
			t.Errorf("%v", tokens)
		}
		if r := poll(t, w, got); r["error"] != "invalid_grant" {
			t.Errorf("twice: %v", r)
		}
		if r := decide(t, b, got["user_code"].(string), "allow"); r.code != http.StatusBadRequest {
			t.Errorf("approved twice: %d", r.code)
		}
	})
	t.Run("denied", func(t *testing.T) {
		w := newWorld(t)
		got := ask(t, w)
		decide(t, w.newBrowser(t), got["user_code"].(string), "deny")
		if r := poll(t, w, got); r["error"] != "access_denied" {
			t.Errorf("%v", r)
		}
	})
	t.Run("too late", func(t *testing.T) {
		w := newWorld(t)
		got := ask(t, w)
		w.pass(10*time.Minute + time.Second)
		if r := decide(t, w.newBrowser(t), got["user_code"].(string), "allow"); r.code != http.StatusBadRequest {
			t.Errorf("%d", r.code)
		}
		if r := poll(t, w, got); r["error"] != "expired_token" {
			t.Errorf("%v", r)
		}
		w.pass(10 * time.Minute)
		if err := w.Sessions.Sweep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		left := &iamv1alpha2.DeviceAuthorizationList{}
		if err := w.cluster.List(t.Context(), left); err != nil || len(left.Items) > 0 {
			t.Errorf("%d are left: %v", len(left.Items), err)
		}
	})
	t.Run("logged out before it was fetched", func(t *testing.T) {
		w := newWorld(t)
		got := ask(t, w)
		b := w.newBrowser(t)
		decide(t, b, got["user_code"].(string), "allow")
		b.submit(t, "/oauth/logout", b.get(t, "/oauth/logout"))
		if r := poll(t, w, got); r["error"] != "expired_token" {
			t.Errorf("%v", r)
		}
	})
	t.Run("a client that may not act for users", func(t *testing.T) {
		w := newWorld(t)
		if r := w.call(t, "/oauth/device_authorization", nil, basic("denied", "x")); r.code != http.StatusBadRequest || r.json(t)["error"] != "unauthorized_client" {
			t.Errorf("%d %s", r.code, r.body)
		}
	})
	t.Run("another client, too often, too many, forged", func(t *testing.T) {
		w := newWorld(t)
		got := ask(t, w)
		b := w.newBrowser(t)
		decide(t, b, got["user_code"].(string), "allow")
		if r := w.call(t, "/oauth/token", []string{"grant_type", grantDevice, "device_code", got["device_code"].(string)}, basic("kubesphere", "kubesphere")).json(t); r["error"] != "invalid_grant" {
			t.Errorf("another client: %v", r)
		}
		w.Polls = NewPolls()
		other := ask(t, w)
		if r := poll(t, w, other); r["error"] != "authorization_pending" {
			t.Errorf("once: %v", r)
		}
		if r := poll(t, w, other); r["error"] != "slow_down" {
			t.Errorf("twice: %v", r)
		}
		if r := b.post(t, "/oauth/device", []string{"user_code", other["user_code"].(string), "decision", "allow"}, header("Accept", "text/html")); r.code != http.StatusForbidden {
			t.Errorf("forged: %d", r.code)
		}
		for _, code := range []string{"", "AAAA-AAAA", "BBBB-BBBB", strings.Repeat("B", 100)} {
			page := b.get(t, "/oauth/device?user_code="+code)
			if r := b.submit(t, "/oauth/device", page, "user_code", code); r.code != http.StatusBadRequest {
				t.Errorf("%s: %d", code, r.code)
			}
		}
	})
}
