package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

const callback = "https://ks.example.com/oauth/callback/them"

// authority is a provider whose answers a test decides.
type authority struct {
	*httptest.Server
	key      *ecdsa.PrivateKey
	idToken  string
	userInfo map[string]any
	// broken are paths that are answered with a status.
	broken map[string]int
	asked  map[string]int
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, broken: map[string]int{}, asked: map[string]int{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked[r.URL.Path]++
	w.Header().Set("Content-Type", "application/json")
	if status := a.broken[r.URL.Path]; status != 0 {
		w.WriteHeader(status)
		_, _ = w.Write([]byte("the body says their-secret"))
		return
	}
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": a.URL, "authorization_endpoint": a.URL + "/authorize", "token_endpoint": a.URL + "/token", "jwks_uri": a.URL + "/keys",
			"userinfo_endpoint": a.URL + "/userinfo", "id_token_signing_alg_values_supported": []string{"ES256", "HS256", "none"},
		}
	case "/keys":
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: a.key.Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}}
	case "/token":
		name, secret, _ := r.BasicAuth()
		if name != "us" || secret != "our-secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer = map[string]any{"access_token": "their-token", "token_type": "Bearer", "id_token": a.idToken}
	case "/userinfo":
		if answer = a.userInfo; r.Header.Get("Authorization") != "Bearer their-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func (a *authority) claims() map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": a.URL, "aud": "us", "sub": "4711", "iat": now, "exp": now + 60, "nonce": "some-nonce",
		"preferred_username": "jane_d", "email": "jane@example.com", "email_verified": true, "name": "Jane Doe", "groups": []string{"staff", "faculty"},
	}
}

func (a *authority) options() Options {
	return Options{Issuer: a.URL, CodeOptions: outbound.CodeOptions{ClientID: "us", ClientSecret: "our-secret"}}
}

func TestReturn(t *testing.T) {
	visit := identity.Visit{CallbackURL: callback, State: "some-state", Nonce: "some-nonce", Verifier: "some-verifier"}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jane := identity.External{Subject: "4711", Username: "jane_d", Email: "jane@example.com", EmailVerified: true, DisplayName: "Jane Doe", Groups: []string{"staff", "faculty"}}
	for _, test := range []struct {
		name   string
		change func(a *authority, o *Options, claims map[string]any)
		answer func(a *authority) // after the token is signed
		want   func(*identity.External)
		err    error
	}{
		{name: "good"},
		{name: "with explicit endpoints", change: func(a *authority, o *Options, _ map[string]any) {
			a.broken["/.well-known/openid-configuration"] = http.StatusNotFound
			o.Endpoint = outbound.Endpoint{AuthURL: a.URL + "/authorize", TokenURL: a.URL + "/token", JWKSURL: a.URL + "/keys"}
		}},
		{name: "an address nobody verified", change: func(_ *authority, _ *Options, c map[string]any) { delete(c, "email_verified") },
			want: func(e *identity.External) { e.EmailVerified = false }},
		{name: "verified, as a text", change: func(_ *authority, _ *Options, c map[string]any) { c["email_verified"] = "true" }},
		{name: "an address of another claim, which nobody verified", change: func(_ *authority, o *Options, c map[string]any) {
			o.EmailKey, c["upn"] = "upn", "admin@example.com"
		}, want: func(e *identity.External) { e.Email, e.EmailVerified = "admin@example.com", false }},
		{name: "names of other claims", change: func(_ *authority, o *Options, c map[string]any) {
			o.PreferredUsernameKey, o.GroupsKey, c["upn"], c["roles"] = "upn", "roles", "jane", "staff"
		}, want: func(e *identity.External) { e.Username, e.Groups = "jane", []string{"staff"} }},
		{name: "groups of all sorts", change: func(_ *authority, _ *Options, c map[string]any) { c["groups"] = []any{"staff", 1, nil, true} },
			want: func(e *identity.External) { e.Groups = []string{"staff"} }},
		{name: "with userinfo", change: func(a *authority, o *Options, c map[string]any) {
			delete(c, "email")
			delete(c, "email_verified")
			o.GetUserInfo, a.userInfo = true, map[string]any{"sub": "4711", "email": "jane@example.com", "email_verified": true}
		}},
		{name: "with another address, which nobody verified", change: func(a *authority, o *Options, _ map[string]any) {
			o.GetUserInfo, a.userInfo = true, map[string]any{"sub": "4711", "email": "admin@example.com"}
		}, want: func(e *identity.External) { e.Email, e.EmailVerified = "admin@example.com", false }},
		{name: "with a userinfo that says nothing of it", change: func(a *authority, o *Options, _ map[string]any) {
			o.GetUserInfo, a.userInfo = true, map[string]any{"sub": "4711"}
		}},
		{name: "with the userinfo of another", change: func(a *authority, o *Options, _ map[string]any) {
			o.GetUserInfo, a.userInfo = true, map[string]any{"sub": "1", "email": "admin@example.com", "email_verified": true}
		}, err: identity.ErrIncorrect},
		{name: "with a userinfo that is away", change: func(a *authority, o *Options, _ map[string]any) {
			o.GetUserInfo, a.broken["/userinfo"] = true, http.StatusBadGateway
		}, err: identity.ErrUnavailable},
		{name: "expired", change: func(_ *authority, _ *Options, c map[string]any) { c["exp"] = time.Now().Unix() - 60 }, err: identity.ErrIncorrect},
		{name: "for others", change: func(_ *authority, _ *Options, c map[string]any) { c["aud"] = "others" }, err: identity.ErrIncorrect},
		{name: "for us among others", change: func(_ *authority, _ *Options, c map[string]any) {
			c["aud"], c["azp"] = []string{"us", "others"}, "others"
		}, err: identity.ErrIncorrect},
		{name: "of another issuer", change: func(_ *authority, _ *Options, c map[string]any) { c["iss"] = "https://evil.example.com" }, err: identity.ErrIncorrect},
		{name: "of another login", change: func(_ *authority, _ *Options, c map[string]any) { c["nonce"] = "another" }, err: identity.ErrIncorrect},
		{name: "of no login", change: func(_ *authority, _ *Options, c map[string]any) { delete(c, "nonce") }, err: identity.ErrIncorrect},
		{name: "with another access token", change: func(_ *authority, _ *Options, c map[string]any) { c["at_hash"] = "bm90IHRoaXMgb25lLi4uIQ" }, err: identity.ErrIncorrect},
		{name: "by another key", answer: func(a *authority) { a.idToken = sign(t, jose.ES256, other, a.claims()) }, err: identity.ErrIncorrect},
		// The provider says that it takes them.
		{name: "by the client's secret", answer: func(a *authority) {
			a.idToken = sign(t, jose.HS256, []byte("our-secret-our-secret-our-secret"), a.claims())
		}, err: identity.ErrIncorrect},
		{name: "by nobody", answer: func(a *authority) {
			parts := strings.Split(a.idToken, ".")
			a.idToken = "eyJhbGciOiJub25lIn0." + parts[1] + "."
		}, err: identity.ErrIncorrect},
		{name: "no ID token", answer: func(a *authority) { a.idToken = "" }, err: identity.ErrUnavailable},
		{name: "no keys", answer: func(a *authority) { a.broken["/keys"] = http.StatusBadGateway }, err: identity.ErrUnavailable},
		{name: "no endpoints", answer: func(a *authority) { a.broken["/.well-known/openid-configuration"] = http.StatusForbidden }, err: identity.ErrUnavailable},
		{name: "endpoints somewhere else", answer: func(a *authority) { a.broken["/.well-known/openid-configuration"] = http.StatusFound }, err: identity.ErrUnavailable},
		{name: "the client is refused", answer: func(a *authority) { a.broken["/token"] = http.StatusUnauthorized }, err: identity.ErrUnavailable},
		{name: "the endpoints of somebody else", change: func(_ *authority, o *Options, _ map[string]any) { o.Issuer += "/" }, err: identity.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthority(t)
			options, claims := a.options(), a.claims()
			if test.change != nil {
				test.change(a, &options, claims)
			}
			a.idToken = sign(t, jose.ES256, a.key, claims)
			if test.answer != nil {
				test.answer(a)
			}
			p, err := New(options, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			who, err := p.Return(t.Context(), visit, url.Values{"code": {"their-code"}})
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err != nil {
				if strings.Contains(err.Error(), "their-") || strings.Contains(err.Error(), "our-") || who.Subject != "" {
					t.Errorf("it tells %+v: %v", who, err)
				}
				return
			}
			want := jane
			if test.want != nil {
				test.want(&want)
			}
			groups := slices.Equal(who.Groups, want.Groups)
			who.Groups, want.Groups = nil, nil
			if !groups || who.Subject != want.Subject || who.Username != want.Username || who.Email != want.Email || who.EmailVerified != want.EmailVerified || who.DisplayName != want.DisplayName {
				t.Errorf("got %+v, want %+v", who, want)
			}
		})
	}
}

// TestLoginURL: the visit is in it, and no answer of another provider is taken (RFC 9207).
func TestLoginURL(t *testing.T) {
	a := newAuthority(t)
	p, err := New(a.options(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	address, err := p.LoginURL(t.Context(), identity.Visit{CallbackURL: callback, State: "some-state", Nonce: "some-nonce", Verifier: "some-verifier"})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"client_id": "us", "redirect_uri": callback, "response_type": "code", "scope": "openid profile email", "state": "some-state", "nonce": "some-nonce", "code_challenge_method": "S256",
	} {
		if got := parsed.Query().Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	for _, secret := range []string{"our-secret", "some-verifier"} {
		if strings.Contains(address, secret) {
			t.Errorf("it tells %s", secret)
		}
	}
	if _, err := p.Return(t.Context(), identity.Visit{}, url.Values{"code": {"x"}, "iss": {"https://evil.example.com"}}); err != identity.ErrIncorrect || a.asked["/token"] > 0 { //nolint:errorlint // nothing may be told beside it
		t.Errorf("got %v after %v", err, a.asked)
	}
}

// TestDiscovery: a provider that is away is not asked by everybody, and one
// that was there before is not missed.
func TestDiscovery(t *testing.T) {
	const document = "/.well-known/openid-configuration"
	a := newAuthority(t)
	now := time.Now()
	p, err := New(a.options(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		after  time.Duration
		status int
		asked  int
		fine   bool
	}{
		{0, http.StatusServiceUnavailable, 1, false},
		{time.Second, 0, 1, false},
		{retryEvery, 0, 2, true},
		{time.Minute, http.StatusServiceUnavailable, 2, true},
		{discoverEvery, http.StatusServiceUnavailable, 3, true},
		{time.Second, 0, 3, true},
		{retryEvery, 0, 4, true},
		{time.Minute, 0, 4, true},
	} {
		now, a.broken[document] = now.Add(step.after), step.status
		_, err := p.LoginURL(t.Context(), identity.Visit{})
		if (err == nil) != step.fine || err != nil && !errors.Is(err, identity.ErrUnavailable) || a.asked[document] != step.asked {
			t.Fatalf("%+v: got %v, asked %d times", step, err, a.asked[document])
		}
		public := p.Public(t.Context())
		if endpoint := public["endpoint"].(outbound.Endpoint); (endpoint.AuthURL == a.URL+"/authorize") != step.fine {
			t.Errorf("%+v: public %+v", step, public)
		}
		shown, err := json.Marshal(public)
		if err != nil || strings.Contains(string(shown), "our-secret") {
			t.Errorf("public: %s, %v", shown, err)
		}
	}
}
