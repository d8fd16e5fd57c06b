package providers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

const (
	callback = "https://ks.example.com/oauth/callback/them"
	verifier = "a-verifier-of-more-than-forty-three-characters-as-RFC-7636-asks"
)

// authority is a provider of OAuth 2.0 with one code to exchange.
type authority struct {
	*httptest.Server
	pkce bool
	// form is the token request, after which the code is gone.
	form url.Values
	// token and user are the answers, by path and as JSON or a status.
	answers map[string]any
}

func newAuthority(t *testing.T, pkce bool, answers map[string]any) *authority {
	t.Helper()
	a := &authority{pkce: pkce, answers: answers}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	answer := a.answers[r.URL.Path]
	if r.URL.Path == "/token" && answer == nil {
		answer = a.exchange(r)
	} else if r.URL.Path != "/token" && r.Header.Get("Authorization") != "Bearer their-token" {
		answer = http.StatusUnauthorized
	}
	switch answer := answer.(type) {
	case nil:
		w.WriteHeader(http.StatusNotFound)
	case int:
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(answer)
		_, _ = w.Write([]byte(`{"error":"some_error","error_description":"the body says their-secret"}`))
	case string:
		_, _ = w.Write([]byte(answer))
	default:
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (a *authority) exchange(r *http.Request) any {
	_ = r.ParseForm()
	form, used := r.PostForm, a.form
	a.form = form
	want := url.Values{
		"grant_type": {"authorization_code"}, "code": {"their-code"}, "redirect_uri": {callback}, "client_id": {"us"}, "client_secret": {"our-secret"},
	}
	if a.pkce {
		want.Set("code_verifier", verifier)
	}
	if r.Method != http.MethodPost || used != nil || form.Encode() != want.Encode() {
		// As GitHub says it, with a status that says the opposite.
		return map[string]string{"error": "bad_verification_code", "error_description": "the body says their-secret"}
	}
	return map[string]string{"access_token": "their-token", "token_type": "bearer", "scope": "read:user,user:email"}
}

func (a *authority) build(t *testing.T, kind string) *identity.Provider {
	t.Helper()
	p, err := build(t.Context(), config.IdentityProvider{Name: "them", Type: kind, Provider: config.Section{
		"clientID": "us", "clientSecret": "our-secret",
		"endpoint": map[string]any{"authURL": a.URL + "/authorize", "tokenURL": a.URL + "/token", "userInfoURL": a.URL + "/user"},
	}}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestCodeLogin goes the way of RFC 6749 §4.1 with each of the providers.
func TestCodeLogin(t *testing.T) {
	type object = map[string]any
	jane := object{"id": 4711, "login": "jane_d", "username": "jane_d", "name": "Jane Doe", "email": "jane@example.com", "state": "active"}
	addresses := []object{{"email": "old@example.com", "verified": true}, {"email": "jane@example.com", "primary": true, "verified": true}}
	for _, test := range []struct {
		name, kind string
		pkce       bool
		answers    map[string]any
		want       identity.External
		err        error
	}{
		{"GitHub", "GitHubIdentityProvider", true, object{"/user": jane, "/user/emails": addresses},
			identity.External{Subject: "4711", Username: "jane_d", Email: "jane@example.com", EmailVerified: true, DisplayName: "Jane Doe"}, nil},
		{"GitHub, with an address nobody verified", "GitHubIdentityProvider", true, object{"/user": jane, "/user/emails": []object{{"email": "jane@example.com", "primary": true}}},
			identity.External{Subject: "4711", Username: "jane_d", Email: "jane@example.com", DisplayName: "Jane Doe"}, nil},
		{"GitHub, without the right to read addresses", "GitHubIdentityProvider", true, object{"/token": object{"access_token": "their-token", "scope": "read:user"}, "/user": jane, "/user/emails": addresses},
			identity.External{Subject: "4711", Username: "jane_d", Email: "jane@example.com", DisplayName: "Jane Doe"}, nil},
		// Without the addresses somebody would get a second account.
		{"GitHub, which does not tell the addresses", "GitHubIdentityProvider", true, object{"/user": jane, "/user/emails": 503}, identity.External{}, identity.ErrUnavailable},
		{"GitHub, which says nothing", "GitHubIdentityProvider", true, object{"/user": object{}}, identity.External{}, identity.ErrUnavailable},
		{"GitLab", "GitlabIdentityProvider", true, object{"/user": object{"id": 7, "username": "jane_d", "name": "Jane Doe", "email": "jane@example.com", "state": "active", "confirmed_at": "2026-01-02T03:04:05Z"}},
			identity.External{Subject: "7", Username: "jane_d", Email: "jane@example.com", EmailVerified: true, DisplayName: "Jane Doe"}, nil},
		{"GitLab, with an address nobody verified", "GitlabIdentityProvider", true, object{"/user": jane},
			identity.External{Subject: "4711", Username: "jane_d", Email: "jane@example.com", DisplayName: "Jane Doe"}, nil},
		{"GitLab, blocked", "GitlabIdentityProvider", true, object{"/user": object{"id": 7, "username": "jane_d", "state": "blocked"}}, identity.External{}, identity.ErrIncorrect},
		{"GitLab, which says nothing", "GitlabIdentityProvider", true, object{"/user": object{"username": "jane_d"}}, identity.External{}, identity.ErrUnavailable},
		{"IDaaS", "AliyunIDaaSProvider", false, object{"/user": object{"success": true, "data": object{"sub": "4-7", "username": "jane_d", "nickname": "Jane", "email": "jane@example.com"}}},
			identity.External{Subject: "4-7", Username: "jane_d", Email: "jane@example.com", DisplayName: "Jane"}, nil},
		{"IDaaS, without success", "AliyunIDaaSProvider", false, object{"/user": object{"success": false, "data": object{"sub": "4-7"}}}, identity.External{}, identity.ErrUnavailable},
		{"a user nobody may ask for", "GitlabIdentityProvider", true, object{"/user": 403}, identity.External{}, identity.ErrUnavailable},
		{"a user that is not JSON", "GitlabIdentityProvider", true, object{"/user": "their-secret"}, identity.External{}, identity.ErrUnavailable},
		{"a user that is huge", "GitlabIdentityProvider", true, object{"/user": `{"id":7,"name":"` + strings.Repeat("x", 2<<20) + `"}`}, identity.External{}, identity.ErrUnavailable},
		// Our client's secret or the person's token must go nowhere else.
		{"a user somewhere else", "GitlabIdentityProvider", true, object{"/user": 302, "/elsewhere": jane}, identity.External{}, identity.ErrUnavailable},
		{"a token somewhere else", "GitlabIdentityProvider", true, object{"/token": 307, "/user": jane}, identity.External{}, identity.ErrUnavailable},
		{"no token", "GitlabIdentityProvider", true, object{"/token": object{}}, identity.External{}, identity.ErrUnavailable},
		{"a token that is not JSON", "GitlabIdentityProvider", true, object{"/token": "their-secret"}, identity.External{}, identity.ErrUnavailable},
		{"a client that is not known", "GitlabIdentityProvider", true, object{"/token": 401}, identity.External{}, identity.ErrUnavailable},
		{"a code that is not good any more", "GitlabIdentityProvider", true, object{"/token": object{"error": "invalid_grant"}}, identity.External{}, identity.ErrIncorrect},
		{"a broken provider", "GitlabIdentityProvider", true, object{"/token": 500}, identity.External{}, identity.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthority(t, test.pkce, test.answers)
			p := a.build(t, test.kind)
			visit := identity.Visit{CallbackURL: callback, State: "some-state", Nonce: "some-nonce", Verifier: verifier}
			address, err := p.Redirect.LoginURL(t.Context(), visit)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			query := parsed.Query()
			for name, want := range map[string]string{"response_type": "code", "client_id": "us", "redirect_uri": callback, "state": "some-state"} {
				if query.Get(name) != want {
					t.Errorf("%s is %q in %s", name, query.Get(name), address)
				}
			}
			if sum := sha256.Sum256([]byte(verifier)); test.pkce && query.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) {
				t.Errorf("the challenge is %q", query.Get("code_challenge"))
			}
			who, err := p.Redirect.Return(t.Context(), visit, url.Values{"code": {"their-code"}, "state": {"some-state"}})
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err != nil && (strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "their-")) {
				t.Errorf("it tells what the provider says: %v", err)
			}
			if who.Subject != test.want.Subject || who.Username != test.want.Username || who.Email != test.want.Email || who.EmailVerified != test.want.EmailVerified || who.DisplayName != test.want.DisplayName || len(who.Groups) > 0 {
				t.Errorf("got %+v, want %+v", who, test.want)
			}
		})
	}
}

// TestCodeRefused: what the browser comes back with is nobody's login.
func TestCodeRefused(t *testing.T) {
	for _, test := range []struct {
		name       string
		visit      identity.Visit
		parameters url.Values
		asked      bool
	}{
		{"refused there", identity.Visit{}, url.Values{"error": {"access_denied"}, "code": {"their-code"}}, false},
		{"refused in words that are none", identity.Visit{}, url.Values{"error": {"\n<script>"}}, false},
		{"nothing", identity.Visit{}, url.Values{}, false},
		{"a huge code", identity.Visit{}, url.Values{"code": {strings.Repeat("x", 1<<20)}}, false},
		{"another code", identity.Visit{CallbackURL: callback, Verifier: verifier}, url.Values{"code": {"another"}}, true},
		{"a code of another login", identity.Visit{CallbackURL: callback, Verifier: "another"}, url.Values{"code": {"their-code"}}, true},
		{"a code of another callback", identity.Visit{CallbackURL: callback + "2", Verifier: verifier}, url.Values{"code": {"their-code"}}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthority(t, true, map[string]any{"/user": map[string]any{"id": 1}})
			who, err := a.build(t, "GitHubIdentityProvider").Redirect.Return(t.Context(), test.visit, test.parameters)
			if err != identity.ErrIncorrect || who.Subject != "" { //nolint:errorlint // nothing may be told beside it
				t.Errorf("got %+v, %v", who, err)
			}
			if asked := a.form != nil; asked != test.asked {
				t.Errorf("the provider was asked: %t", asked)
			}
		})
	}
}
