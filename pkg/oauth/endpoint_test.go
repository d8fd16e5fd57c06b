package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// TestP1PasswordGrant: for trusted clients with a secret, and not at all where
// it is switched off.
func TestP1PasswordGrant(t *testing.T) {
	w := newWorld(t)
	if got := w.tokens(t); !w.accepts(t, got["access_token"]) || got["id_token"] != nil || got["scope"] != nil {
		t.Errorf("got %v", got)
	}
	if got := w.tokens(t, "scope", "email openid openid"); got["scope"] != "openid email" || claimsOf(t, got["id_token"])["email"] != "bob@example.com" {
		t.Errorf("with scopes: %v", got)
	}
	if r := w.call(t, "/oauth/token", []string{"grant_type", "password", "username", "bob", "password", bobsPassword, "client_id", "native"}); r.json(t)["error"] != "unauthorized_client" {
		t.Errorf("a client without a secret: %d %s", r.code, r.body)
	}
	w.PasswordGrant = false
	if r := w.call(t, "/oauth/token", passwordFields()); r.json(t)["error"] != "unsupported_grant_type" {
		t.Errorf("switched off: %d %s", r.code, r.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/kapis/iam.kubesphere.io/v1alpha2/login", strings.NewReader(`{"username":"bob","password":"`+bobsPassword+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if got := w.newBrowser(t).send(t, r); got.json(t)["error"] != "unauthorized_client" {
		t.Errorf("switched off, 3.3's login: %d %s", got.code, got.body)
	}
	if w.newBrowser(t).code(t) == "" {
		t.Error("no code")
	}
}

// TestP4NoStore: no answer of the token service is kept by a cache, and no
// parameter is there twice.
func TestP4NoStore(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	access := w.tokens(t)["access_token"].(string)
	for name, r := range map[string]reply{
		"tokens":        w.call(t, "/oauth/token", passwordFields()),
		"an error":      w.call(t, "/oauth/token", passwordFields("username", "carol")),
		"a device":      w.call(t, "/oauth/device_authorization", []string{"client_id", "native"}),
		"introspection": w.call(t, "/oauth/introspect", []string{"token", access}, basic("service", "service secret")),
		"revocation":    w.call(t, "/oauth/revoke", []string{"token", "x"}, basic("service", "service secret")),
		"user":          b.get(t, "/oauth/userinfo", bearer(access)),
		"nobody":        b.get(t, "/oauth/userinfo"),
		"a page":        b.get(t, "/oauth/login"),
		"a redirect":    b.get(t, "/oauth/authorize?"+asked().Encode()),
		"logged out":    b.get(t, "/oauth/logout"),
	} {
		if r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", name, r.header)
		}
	}
	for _, path := range []string{"/oauth/token", "/oauth/device_authorization", "/oauth/introspect", "/oauth/revoke"} {
		if r := w.call(t, path, []string{"client_id", "native", "client_id", "native", "token", "x"}); r.json(t)["error"] != "invalid_request" {
			t.Errorf("%s with a parameter twice: %s", path, r.body)
		}
		if r := w.call(t, path+"?client_id=native&token=x", nil); r.code != http.StatusUnauthorized {
			t.Errorf("%s takes parameters of the query: %d %s", path, r.code, r.body)
		}
	}
}

// TestP5ClientAuthentication: in the body or by HTTP Basic, which is encoded.
func TestP5ClientAuthentication(t *testing.T) {
	w := newWorld(t)
	fields := []string{"grant_type", "client_credentials"}
	for _, test := range []struct {
		name   string
		fields []string
		option option
		error  string // unauthorized_client is the answer to who is known
	}{
		{"basic, encoded", nil, basic("odd name", "a+b c%"), "unauthorized_client"},
		{"basic, not encoded", nil, func(r *http.Request) { r.SetBasicAuth("odd name", "a+b c%") }, "invalid_client"},
		{"body", []string{"client_id", "odd name", "client_secret", "a+b c%"}, nil, "unauthorized_client"},
		{"wrong", []string{"client_id", "odd name", "client_secret", "a+b"}, nil, "invalid_client"},
		{"both", []string{"client_secret", "a+b c%"}, basic("odd name", "a+b c%"), "invalid_request"},
		{"two names", []string{"client_id", "service"}, basic("odd name", "a+b c%"), "invalid_client"},
		{"the name twice is the same", []string{"client_id", "odd name"}, basic("odd name", "a+b c%"), "unauthorized_client"},
		{"no secret, though it has one", []string{"client_id", "service"}, nil, "invalid_client"},
		{"a secret, though it has none", []string{"client_id", "native", "client_secret", "x"}, nil, "invalid_client"},
		{"no secret, as it has none", []string{"client_id", "native"}, nil, "unauthorized_client"},
		{"nobody", nil, nil, "invalid_client"},
	} {
		options := []option{}
		if test.option != nil {
			options = append(options, test.option)
		}
		r := w.call(t, "/oauth/token", append(test.fields, fields...), options...)
		if r.json(t)["error"] != test.error {
			t.Errorf("%s: %d %s", test.name, r.code, r.body)
		}
		if (r.code == http.StatusUnauthorized) != (test.error == "invalid_client") || r.code == http.StatusUnauthorized && !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("P6, %s: %d %v", test.name, r.code, r.header)
		}
	}
}

// TestP6ErrorCodes: RFC 6749 §5.2.
func TestP6ErrorCodes(t *testing.T) {
	w := newWorld(t)
	client := []string{"client_id", "kubesphere", "client_secret", "kubesphere"}
	for _, test := range []struct {
		name   string
		fields []string
		code   int
		error  string
	}{
		{"no grant type", client, 400, "invalid_request"},
		{"unknown grant type", append([]string{"grant_type", "magic"}, client...), 400, "unsupported_grant_type"},
		{"implicit", append([]string{"grant_type", "implicit"}, client...), 400, "unsupported_grant_type"},
		{"no code", append([]string{"grant_type", "authorization_code"}, client...), 400, "invalid_grant"},
		{"unknown code", append([]string{"grant_type", "code", "code", strings.Repeat("0", 32) + "." + strings.Repeat("A", 43)}, client...), 400, "invalid_grant"},
		{"no refresh token", append([]string{"grant_type", "refresh_token"}, client...), 400, "invalid_grant"},
		{"unknown device", append([]string{"grant_type", grantDevice, "device_code", strings.Repeat("0", 32) + "." + strings.Repeat("A", 43)}, client...), 400, "invalid_grant"},
		{"wrong password", []string{"grant_type", "password", "username", "bob", "password", "x", "client_id", "kubesphere", "client_secret", "kubesphere"}, 400, "invalid_grant"},
		{"unknown user", []string{"grant_type", "password", "username", "x", "password", "x", "client_id", "kubesphere", "client_secret", "kubesphere"}, 400, "invalid_grant"},
		{"disabled user", []string{"grant_type", "password", "username", "former", "password", "formers", "client_id", "kubesphere", "client_secret", "kubesphere"}, 400, "invalid_grant"},
		{"unknown scope", passwordFields("scope", "magic"), 400, "invalid_scope"},
		{"a client for nobody", append([]string{"grant_type", "client_credentials"}, client...), 400, "unauthorized_client"},
		{"unknown client", []string{"grant_type", "password", "client_id", "x", "client_secret", "x"}, 401, "invalid_client"},
	} {
		r := w.call(t, "/oauth/token", test.fields)
		if got := r.json(t); r.code != test.code || got["error"] != test.error || got["access_token"] != nil {
			t.Errorf("%s: %d %s", test.name, r.code, r.body)
		}
	}
}

func TestClientCredentials(t *testing.T) {
	w := newWorld(t)
	r := w.call(t, "/oauth/token", []string{"grant_type", "client_credentials", "scope", "openid email"}, basic("service", "service secret"))
	got := r.json(t)
	if r.code != http.StatusOK || got["refresh_token"] != nil || got["id_token"] != nil || got["expires_in"] != 300.0 || got["scope"] != "email" {
		t.Fatalf("%d %s", r.code, r.body)
	}
	if who := w.newBrowser(t).get(t, "/api", bearer(got["access_token"].(string))); who.body != "robot" {
		t.Errorf("it is %d %s", who.code, who.body)
	}
	if w.call(t, "/oauth/revoke", []string{"token", got["access_token"].(string)}, basic("service", "service secret")); w.accepts(t, got["access_token"]) {
		t.Error("it cannot be revoked")
	}
	robot := userNamed("robot", func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserDisabled })
	if err := w.cluster.Patch(t.Context(), robot, client.RawPatch(types.MergePatchType, []byte(`{"status":{"state":"Disabled"}}`))); err != nil {
		t.Fatal(err)
	}
	if r := w.call(t, "/oauth/token", []string{"grant_type", "client_credentials"}, basic("service", "service secret")); r.json(t)["error"] != "unauthorized_client" {
		t.Errorf("for a disabled user: %s", r.body)
	}
}

// TestP10Revocation: RFC 7009.
func TestP10Revocation(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []string{"access_token", "refresh_token"} {
		got := w.tokens(t)
		for name, test := range map[string]struct {
			text string
			as   option
		}{
			"unknown":              {"x", basic("kubesphere", "kubesphere")},
			"of another client":    {got[kind].(string), basic("service", "service secret")},
			"a similar one":        {got[kind].(string) + "x", basic("kubesphere", "kubesphere")},
			"of a public stranger": {got[kind].(string), func(*http.Request) {}},
		} {
			fields := []string{"token", test.text}
			if name == "of a public stranger" {
				fields = append(fields, "client_id", "native")
			}
			if r := w.call(t, "/oauth/revoke", fields, test.as); r.code != http.StatusOK || r.body != "" {
				t.Errorf("%s: %d %s", name, r.code, r.body)
			}
		}
		if !w.accepts(t, got["access_token"]) {
			t.Fatal("one of them revoked it")
		}
		if r := w.call(t, "/oauth/revoke", []string{"token", got[kind].(string)}, basic("kubesphere", "wrong")); r.code != http.StatusUnauthorized {
			t.Errorf("anybody may revoke: %d", r.code)
		}
		if r := w.call(t, "/oauth/revoke", []string{"token", got[kind].(string), "token_type_hint", "magic"}, basic("kubesphere", "kubesphere")); r.code != http.StatusOK {
			t.Errorf("%d %s", r.code, r.body)
		}
		if w.accepts(t, got["access_token"]) {
			t.Errorf("%s: the access token is still accepted", kind)
		}
		if r := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)}, basic("kubesphere", "kubesphere")); r.code != http.StatusBadRequest {
			t.Errorf("%s: the refresh token is still accepted", kind)
		}
	}
}

// TestP11Introspection: RFC 7662.
func TestP11Introspection(t *testing.T) {
	w := newWorld(t)
	ask := func(text string, as option) reply {
		t.Helper()
		return w.call(t, "/oauth/introspect", []string{"token", text}, as)
	}
	got := w.tokens(t, "scope", "openid email")
	access, refresh, id := got["access_token"].(string), got["refresh_token"].(string), got["id_token"].(string)
	r := ask(access, basic("service", "service secret")).json(t)
	if r["active"] != true || r["sub"] != "bob" || r["scope"] != "openid email" || r["client_id"] != "kubesphere" || r["token_type"] != "Bearer" || r["exp"] != float64(w.now().Add(2*time.Hour).Unix()) {
		t.Errorf("an access token: %v", r)
	}
	if r := ask(refresh, basic("kubesphere", "kubesphere")).json(t); r["active"] != true || r["token_type"] != "refresh_token" {
		t.Errorf("a refresh token: %v", r)
	}
	for name, r := range map[string]reply{
		"nobody":        w.call(t, "/oauth/introspect", []string{"token", access}),
		"public client": w.call(t, "/oauth/introspect", []string{"token", access, "client_id", "native"}),
		"bearer":        ask(access, bearer(access)),
		"wrong secret":  ask(access, basic("service", "x")),
	} {
		if r.code != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	expired := w.tokens(t)["access_token"].(string)
	inactive := map[string]string{"unknown": "x", "an ID token": id, "changed": access[:len(access)-6] + "AAAAAA", "another client's refresh token": refresh}
	if err := w.Sessions.End(t.Context(), claimsOf(t, access)["sid"].(string), "test"); err != nil {
		t.Fatal(err)
	}
	inactive["a revoked access token"], inactive["a revoked refresh token"] = access, refresh
	for name, text := range inactive {
		if r := ask(text, basic("service", "service secret")); r.code != http.StatusOK || r.body != `{"active":false}`+"\n" {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	w.pass(3 * time.Hour)
	if r := ask(expired, basic("service", "service secret")); r.body != `{"active":false}`+"\n" {
		t.Errorf("an expired one: %s", r.body)
	}
}

// TestP12DisabledUser: whatever is left of a user who may not log in any more,
// nothing comes of it.
func TestP12DisabledUser(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	code := b.code(t)
	other := b.code(t)
	got := w.call(t, "/oauth/token", exchange(other)).json(t)
	if err := w.cluster.Patch(t.Context(), userNamed("bob", nil), client.RawPatch(types.MergePatchType, []byte(`{"status":{"state":"Disabled"}}`))); err != nil {
		t.Fatal(err)
	}
	if w.accepts(t, got["access_token"]) {
		t.Error("the access token is accepted")
	}
	if r := w.call(t, "/oauth/introspect", []string{"token", got["access_token"].(string)}, basic("service", "service secret")); r.body != `{"active":false}`+"\n" {
		t.Errorf("introspection: %s", r.body)
	}
	for name, fields := range map[string][]string{
		"refresh token": {"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string), "client_id", "kubesphere", "client_secret", "kubesphere"},
		"code":          exchange(code),
		"password":      passwordFields(),
	} {
		if r := w.call(t, "/oauth/token", fields); r.json(t)["error"] != "invalid_grant" {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	if to := b.get(t, "/oauth/authorize?"+asked().Encode()).location(t); to.Query().Get("error") != "access_denied" {
		t.Errorf("the browser: %s", to)
	}
}

// TestP18Silence: neither the log nor an answer but the one it is in has a
// password, a token or a code.
func TestP18Silence(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	w := newWorld(t)
	b := w.newBrowser(t)
	b.logIn(t, "/oauth/login", "bob", "a wrong secret")
	code := b.code(t)
	got := w.call(t, "/oauth/token", exchange(code)).json(t)
	w.call(t, "/oauth/token", exchange(code))
	w.call(t, "/oauth/token", passwordFields("username", "carol"))
	w.call(t, "/oauth/token", []string{"grant_type", "password", "username", "bob", "password", "a wrong secret", "client_id", "kubesphere", "client_secret", "kubesphere"})
	secrets := []string{bobsPassword, "a wrong secret", code, got["access_token"].(string), got["refresh_token"].(string), got["id_token"].(string), verifier}
	stored, err := json.Marshal(w.sessions(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("logged: %s", secret)
		}
		_, part, _ := strings.Cut(secret, ".")
		if strings.Contains(string(stored), secret) || part != "" && strings.Contains(string(stored), part) {
			t.Errorf("stored: %s", secret)
		}
	}
	if !strings.Contains(logged.String(), "login refused") {
		t.Error("ks#3245: a failed login leaves no trace")
	}
}

// throttled is a checker that has too much to do.
type busy struct{}

func (busy) Authenticate(context.Context, identity.Attempt) (*iamv1alpha2.User, error) {
	return nil, identity.ErrBusy
}

func TestBusy(t *testing.T) {
	w := newWorld(t)
	w.Passwords = busy{}
	if r := w.call(t, "/oauth/token", passwordFields()); r.code != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("got %d %v", r.code, r.header)
	}
	if r := w.newBrowser(t).logIn(t, "/oauth/login", "bob", "x"); r.code != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" {
		t.Errorf("the page: %d %v", r.code, r.header)
	}
}

// TestRefreshScopes: less can be asked for, never more.
func TestRefreshScopes(t *testing.T) {
	w := newWorld(t)
	refresh := w.tokens(t, "scope", "openid email")["refresh_token"].(string)
	ask := func(scope string) map[string]any {
		r := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", refresh, "scope", scope}, basic("kubesphere", "kubesphere")).json(t)
		if next, ok := r["refresh_token"].(string); ok {
			refresh = next
		}
		return r
	}
	if got := ask("openid"); got["scope"] != "openid" || claimsOf(t, got["id_token"])["email"] != nil {
		t.Errorf("less: %v", got)
	}
	if got := ask(""); got["scope"] != "openid email" {
		t.Errorf("all again: %v", got)
	}
	if got := ask("openid groups"); got["error"] != "invalid_scope" {
		t.Errorf("more: %v", got)
	}
}

// TestHashedSecret: secrets of clients that are stored as password hashes were
// compared for as many at once as asked, outside the bound on hashes.
func TestHashedSecret(t *testing.T) {
	w := newWorld(t)
	stored, err := bcrypt.GenerateFromPassword([]byte("hashed secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	w.Clients.Configured = append(w.Clients.Configured, config.Client{Name: "hashed", Secret: config.Secret(stored), User: "robot"})
	checker, err := identity.NewPasswords(nil, passwordhash.Hasher{Cost: bcrypt.MinCost}, identity.NewBackoff(3, time.Minute, time.Now))
	if err != nil {
		t.Fatal(err)
	}
	w.ClientSecrets = checker.ClientSecrets(identity.NewBackoff(3, time.Minute, time.Now))
	ask := func(client, secret string) (int, string) {
		answer := w.call(t, "/oauth/token", []string{"grant_type", "client_credentials"}, basic(client, secret))
		return answer.code, answer.header.Get("Retry-After")
	}
	for _, test := range []struct {
		name, client, secret string
		code                 int
	}{
		{"its secret", "hashed", "hashed secret", http.StatusOK},
		{"another", "hashed", "another", http.StatusUnauthorized},
		{"a second other", "hashed", "another", http.StatusUnauthorized},
		{"a third other", "hashed", "another", http.StatusUnauthorized},
		{"a fourth, which is checked at the slow rate", "hashed", "another", http.StatusUnauthorized},
		{"its secret, which is remembered", "hashed", "hashed secret", http.StatusOK},
		{"another client at the address", "service", "service secret", http.StatusOK},
	} {
		if code, _ := ask(test.client, test.secret); code != test.code {
			t.Errorf("%s: %d, want %d", test.name, code, test.code)
		}
	}
}
