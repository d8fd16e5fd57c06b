//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	got := shared.token(t, passwordForm("admin", adminPassword))
	var generic map[string]any
	if err := json.Unmarshal(got.body, &generic); err != nil {
		t.Fatal(err)
	}
	if got.code != 200 || len(generic) != 4 || generic["token_type"] != "Bearer" || generic["expires_in"] != 7200.0 {
		t.Errorf("got %d %s", got.code, got.body)
	}
	if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" {
		t.Errorf("tokens may be cached: %v", got.header)
	}
	// The console reads the claims without checking them.
	claims := decodeClaims(t, generic["access_token"].(string))
	if claims["username"] != "admin" || claims["sub"] != "admin" || claims["token_type"] != "access_token" || claims["jti"] == "" {
		t.Errorf("claims %v", claims)
	}
	if extra, _ := claims["extra"].(map[string]any); fmt.Sprint(extra["uninitialized"]) != "[true]" {
		t.Errorf("the first password is not marked: %v", claims)
	}
	// Two logins in the same second were one token upstream (lessons §1.7).
	if a, b := shared.login(t), shared.login(t); a.AccessToken == b.AccessToken || a.RefreshToken == b.RefreshToken {
		t.Error("two logins got the same token")
	}
}

func TestLoginByEmail(t *testing.T) {
	t.Parallel()
	if r := shared.token(t, passwordForm("admin@kubesphere.io", adminPassword)); r.code != 200 {
		t.Errorf("got %d %s", r.code, r.body)
	}
}

func decodeClaims(t *testing.T, token string) map[string]any {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestTokenEndpointRefuses(t *testing.T) {
	t.Parallel()
	form := func(pairs ...string) []string { return pairs }
	with := func(key, value string) []string {
		pairs := passwordForm("admin", adminPassword)
		for n := 0; n < len(pairs); n += 2 {
			if pairs[n] == key {
				pairs[n+1] = value
				return pairs
			}
		}
		return append(pairs, key, value)
	}
	for _, test := range []struct {
		name  string
		form  []string
		opts  []option
		code  int
		error string
	}{
		{"wrong password", with("password", "wrong"), nil, 400, "invalid_grant"},
		{"empty password", with("password", ""), nil, 400, "invalid_grant"},
		{"unknown user", with("username", "nobody"), nil, 400, "invalid_grant"},
		{"user name that is a path", with("username", "../../api"), nil, 400, "invalid_grant"},
		{"unknown e-mail", with("username", "a@b.c"), nil, 400, "invalid_grant"},
		{"password over bcrypt's 72 bytes", with("password", strings.Repeat("x", 100)), nil, 400, "invalid_grant"},
		{"unknown client", with("client_id", "nobody"), nil, 401, "invalid_client"},
		{"wrong client secret", with("client_secret", "wrong"), nil, 401, "invalid_client"},
		{"no client", form("grant_type", "password", "username", "admin", "password", adminPassword), nil, 401, "invalid_client"},
		{"unknown grant", with("grant_type", "magic"), nil, 400, "unsupported_grant_type"},
		{"no grant", form("client_id", "kubesphere", "client_secret", "kubesphere"), nil, 400, "invalid_request"},
		{"a parameter twice", append(passwordForm("admin", adminPassword), "username", "admin"), nil, 400, "invalid_request"},
		{"client authenticates twice", passwordForm("admin", adminPassword), []option{func(r *http.Request) { r.SetBasicAuth("kubesphere", "kubesphere") }}, 400, "invalid_request"},
		{"garbage refresh token", refreshForm("garbage"), nil, 400, "invalid_grant"},
		{"missing refresh token", refreshForm(""), nil, 400, "invalid_grant"},
		{"well-formed but unknown refresh token", refreshForm("00000000000000000000000000000000.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), nil, 400, "invalid_grant"},
		{"JSON body", passwordForm("admin", adminPassword), []option{header("Content-Type", "application/json")}, 415, "invalid_request"},
		{"no content type", passwordForm("admin", adminPassword), []option{header("Content-Type", "")}, 415, "invalid_request"},
		{"oversized body", with("username", strings.Repeat("x", 1<<17)), nil, 413, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := shared.token(t, test.form, test.opts...)
			answer := decode[tokens](t, got)
			if got.code != test.code || answer.Error != test.error {
				t.Errorf("got %d %s, want %d %s", got.code, got.body, test.code, test.error)
			}
			if got.code == 401 && got.header.Get("WWW-Authenticate") == "" {
				t.Error("no WWW-Authenticate")
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", got.header)
			}
		})
	}
	// A password in a URL ends up in logs.
	got := shared.do(t, http.MethodPost, "/oauth/token?grant_type=password&username=admin&password=P%4088w0rd&client_id=kubesphere&client_secret=kubesphere", strings.NewReader(""), header("Content-Type", "application/x-www-form-urlencoded"))
	if got.code != 401 {
		t.Errorf("credentials in the URL: got %d %s", got.code, got.body)
	}
}

func TestClientByBasicAuthentication(t *testing.T) {
	t.Parallel()
	form := []string{"grant_type", "password", "username", "admin", "password", adminPassword}
	got := shared.token(t, form, func(r *http.Request) { r.SetBasicAuth("kubesphere", "kubesphere") })
	if got.code != 200 {
		t.Errorf("got %d %s", got.code, got.body)
	}
}

// The console sends the refresh token as a bearer token as well (console.md §0).
func TestRefreshAsTheConsoleDoes(t *testing.T) {
	t.Parallel()
	first := shared.login(t)
	got := shared.token(t, refreshForm(first.RefreshToken), bearer(first.RefreshToken))
	next := decode[tokens](t, got)
	if got.code != 200 || next.RefreshToken == first.RefreshToken || next.ExpiresIn != 7200 {
		t.Fatalf("got %d %s", got.code, got.body)
	}
	if r := shared.get(t, viewer+"/nodes?limit=1", bearer(next.AccessToken)); r.code != 200 {
		t.Errorf("the new token: %d %s", r.code, r.body)
	}
	for _, stale := range []string{"garbage", first.AccessToken + "x"} {
		if r := shared.token(t, passwordForm("admin", adminPassword), bearer(stale)); r.code != 200 {
			t.Errorf("a bad bearer token hurts a login: %d %s", r.code, r.body)
		}
	}
}

// Two refreshes at once answer with the same next token (P8), and the token
// can go on being refreshed.
func TestRefreshInParallel(t *testing.T) {
	t.Parallel()
	first := shared.login(t)
	answers := make([]tokens, 8)
	var group sync.WaitGroup
	for n := range answers {
		group.Go(func() {
			if r := shared.token(t, refreshForm(first.RefreshToken)); r.code == 200 {
				answers[n] = decode[tokens](t, r)
			} else {
				t.Errorf("refresh %d: %d %s", n, r.code, r.body)
			}
		})
	}
	group.Wait()
	for _, answer := range answers[1:] {
		if answer.RefreshToken != answers[0].RefreshToken {
			t.Error("parallel refreshes got different refresh tokens: one of them will be a replay")
		}
	}
	if r := shared.token(t, refreshForm(answers[0].RefreshToken)); r.code != 200 {
		t.Errorf("the common token: %d %s", r.code, r.body)
	}
}

// A refresh token that was used before the one before is a replay: everything
// of the session ends (P8).
func TestReplayedRefreshTokenEndsTheSession(t *testing.T) {
	t.Parallel()
	first := shared.login(t)
	second := decode[tokens](t, shared.token(t, refreshForm(first.RefreshToken)))
	third := decode[tokens](t, shared.token(t, refreshForm(second.RefreshToken)))
	if r := shared.get(t, viewer+"/nodes?limit=0", bearer(third.AccessToken)); r.code != 200 {
		t.Fatalf("before the replay: %d %s", r.code, r.body)
	}
	if r := shared.token(t, refreshForm(first.RefreshToken)); r.code != 400 {
		t.Errorf("replay: %d %s", r.code, r.body)
	}
	if r := shared.token(t, refreshForm(third.RefreshToken)); r.code != 400 {
		t.Errorf("the session goes on after a replay: %d %s", r.code, r.body)
	}
	wait.For(t, "the access token to be refused after the replay", func() error {
		if r := shared.get(t, viewer+"/nodes?limit=0", bearer(third.AccessToken)); r.code != 401 {
			return fmt.Errorf("the access token is still accepted: %d", r.code)
		}
		return nil
	})
}

func TestRefreshTokenOfAnotherClient(t *testing.T) {
	t.Parallel()
	other := run(t, func(c *config.Config) {
		c.Authentication.OAuthOptions.Clients = []config.Client{{Name: "other", Secret: "other-secret"}}
	})
	if err := other.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	first := shared.login(t)
	got := other.token(t, []string{"grant_type", "refresh_token", "refresh_token", first.RefreshToken, "client_id", "other", "client_secret", "other-secret"})
	if got.code != 400 {
		t.Errorf("got %d %s", got.code, got.body)
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	session, bystander := shared.login(t), shared.login(t)
	if r := shared.get(t, "/oauth/logout", bearer(session.AccessToken)); r.code != 200 {
		t.Fatalf("logout: %d %s", r.code, r.body)
	}
	wait.For(t, "the access token to be refused after the logout", func() error {
		if r := shared.get(t, viewer+"/nodes?limit=0", bearer(session.AccessToken)); r.code != 401 {
			return fmt.Errorf("the access token is still accepted: %d", r.code)
		}
		return nil
	})
	if r := shared.token(t, refreshForm(session.RefreshToken)); r.code != 400 {
		t.Errorf("the refresh token is still accepted: %d %s", r.code, r.body)
	}
	if r := shared.get(t, viewer+"/nodes?limit=0", bearer(bystander.AccessToken)); r.code != 200 {
		t.Errorf("another session of the user ended as well: %d %s", r.code, r.body)
	}
	if r := shared.get(t, "/oauth/logout"); r.code != 200 {
		t.Errorf("logging out without a session: %d %s", r.code, r.body)
	}
}

// ks#5456: multipleLogin had no effect.
func TestSingleLogin(t *testing.T) {
	t.Parallel()
	single := run(t, func(c *config.Config) { c.Authentication.MultipleLogin = false })
	if err := single.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	newPerson(t, "single", "platform-regular")
	login := func() tokens {
		t.Helper()
		r := single.token(t, passwordForm("single", passwordOf("single")))
		if r.code != http.StatusOK {
			t.Fatalf("login: %d %s", r.code, r.body)
		}
		return decode[tokens](t, r)
	}
	before := login()
	after := login()
	wait.For(t, "the older session to end", func() error {
		if r := single.get(t, iamPath+"/users/single", bearer(before.AccessToken)); r.code != 401 {
			return fmt.Errorf("the older session goes on: %d", r.code)
		}
		return nil
	})
	if r := single.get(t, iamPath+"/users/single", bearer(after.AccessToken)); r.code != 200 {
		t.Errorf("the newer session: %d %s", r.code, r.body)
	}
}

// ks#4060, ks#3357: more than one replica broke logins.
func TestReplicasShareLogins(t *testing.T) {
	t.Parallel()
	second := run(t, func(*config.Config) {})
	if err := second.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	first := shared.login(t)
	if r := second.get(t, viewer+"/nodes?limit=0", bearer(first.AccessToken)); r.code != 200 {
		t.Fatalf("the token of one replica at the other, at once: %d %s", r.code, r.body)
	}
	next := decode[tokens](t, second.token(t, refreshForm(first.RefreshToken)))
	if r := shared.get(t, "/oauth/logout", bearer(next.AccessToken)); r.code != 200 {
		t.Fatalf("logout: %d %s", r.code, r.body)
	}
	wait.For(t, "the other replica to refuse the token", func() error {
		if r := second.get(t, viewer+"/nodes?limit=0", bearer(next.AccessToken)); r.code != 401 {
			return fmt.Errorf("the other replica still accepts the token: %d", r.code)
		}
		return nil
	})
}

func TestExpiredToken(t *testing.T) {
	t.Parallel()
	short := run(t, func(c *config.Config) {
		c.Authentication.OAuthOptions.AccessTokenMaxAge = metav1.Duration{Duration: time.Second}
		c.Authentication.MaximumClockSkew = metav1.Duration{}
	})
	if err := short.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	login := short.login(t)
	if login.ExpiresIn != 1 {
		t.Errorf("expires_in %d", login.ExpiresIn)
	}
	wait.For(t, "the token to expire", func() error {
		return expect(short.get(t, viewer+"/nodes?limit=0", bearer(login.AccessToken)), 401)
	})
	got := short.get(t, viewer+"/nodes", bearer(login.AccessToken))
	if got.code != 401 || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="invalid_token"`) || !strings.Contains(string(got.body), "token is expired by") {
		t.Errorf("got %d %v %s", got.code, got.header, got.body)
	}
	if r := short.token(t, refreshForm(login.RefreshToken)); r.code != 200 {
		t.Errorf("an expired access token can be refreshed: %d %s", r.code, r.body)
	}
}
