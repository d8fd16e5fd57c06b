package oauth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

func jsonRequest(t *testing.T, w *world, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/oauth/authenticate", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return r
}

// TestDiscovery: every address is the issuer's, which is not where the process
// listens (ks#6274), and there is something at each.
func TestDiscovery(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	for _, path := range []string{"/.well-known/openid-configuration", "/oauth/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"} {
		if got := b.get(t, path).json(t); got["issuer"] != w.URL {
			t.Errorf("%s: %v", path, got)
		}
	}
	w.Tokens = token.NewService("https://proxy.example.com/sub/path/", time.Second, w.Tokens.Source, w.now, w.Tokens.Random)
	got := b.get(t, "/.well-known/openid-configuration").json(t)
	for name, value := range got {
		text, isText := value.(string)
		if !isText || name == "issuer" {
			continue
		}
		path, found := strings.CutPrefix(text, "https://proxy.example.com/sub/path/oauth/")
		if !found {
			t.Errorf("%s: %s", name, text)
		}
		if r := b.get(t, "/oauth/"+path); r.code == http.StatusNotFound {
			t.Errorf("%s: nothing is there", name)
		}
	}
	if got["issuer"] != "https://proxy.example.com/sub/path/" {
		t.Errorf("issuer %v", got["issuer"])
	}
	if to := b.get(t, "/oauth/authorize?"+asked().Encode()).location(t); to.Path != "/sub/path/oauth/login" || to.Host != "" {
		t.Errorf("below a path: %s", to)
	}
	device := w.call(t, "/oauth/device_authorization", []string{"client_id", "native"}).json(t)
	if device["verification_uri"] != "https://proxy.example.com/sub/path/oauth/device" {
		t.Errorf("for a device: %v", device)
	}
	w.PasswordGrant = false
	if r := b.get(t, "/.well-known/openid-configuration"); strings.Contains(r.body, `"password"`) {
		t.Errorf("announced: %s", r.body)
	}
}

func TestUserInfo(t *testing.T) {
	w := newWorld(t)
	// Groups have to be earned: who trusts us would make him an administrator.
	if err := w.cluster.Patch(t.Context(), userNamed("bob", nil), client.RawPatch(types.MergePatchType, []byte(`{"spec":{"groups":["system:masters","team","kubesphere:authorized"]}}`))); err != nil {
		t.Fatal(err)
	}
	b := w.newBrowser(t)
	for _, test := range []struct {
		scope string
		want  string
		code  int
	}{
		{"openid", `{"sub":"bob"}`, 200},
		{"openid profile", `{"sub":"bob","name":"BOB","preferred_username":"bob","locale":"en"}`, 200},
		{"openid email", `{"sub":"bob","email":"bob@example.com","email_verified":false}`, 200},
		{"openid groups", `{"sub":"bob","groups":["team"]}`, 200},
		{"", `{"sub":"bob","name":"BOB","preferred_username":"bob","locale":"en","email":"bob@example.com","email_verified":false,"groups":["team"]}`, 200},
		{"email", `{"error":"insufficient_scope","error_description":"the token was not granted the scope openid"}`, 403},
	} {
		access := w.tokens(t, "scope", test.scope)["access_token"].(string)
		for _, r := range []reply{b.get(t, "/oauth/userinfo", bearer(access)), w.call(t, "/oauth/userinfo", nil, bearer(access))} {
			if r.code != test.code || strings.TrimSpace(r.body) != test.want {
				t.Errorf("%q: %d %s", test.scope, r.code, r.body)
			}
		}
	}
	r := b.get(t, "/oauth/userinfo")
	if r.code != http.StatusUnauthorized || r.json(t)["error"] != "login_required" || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("nobody: %d %s", r.code, r.body)
	}
}

// limitedTo are personal access tokens of bob, with these scopes.
type limitedTo []string

func (l limitedTo) Verify(context.Context, string) (*accesstoken.Grant, error) {
	return &accesstoken.Grant{Name: "pat-1", User: "bob", Scopes: l}, nil
}

// TestTokenReview: what kube-apiserver asks.
func TestTokenReview(t *testing.T) {
	w := newWorld(t)
	got := w.tokens(t, "scope", "openid")
	access := got["access_token"].(string)
	ask := func(version, kind, text string) reply {
		return w.newBrowser(t).send(t, jsonRequest(t, w, `{"apiVersion":"`+version+`","kind":"`+kind+`","spec":{"token":"`+text+`"}}`))
	}
	for _, version := range []string{"authentication.k8s.io/v1", "authentication.k8s.io/v1beta1"} {
		r := ask(version, "TokenReview", access)
		if !strings.Contains(r.body, `"authenticated":true`) || !strings.Contains(r.body, `"username":"bob"`) || !strings.Contains(r.body, `"groups":["team","system:authenticated"]`) || !strings.Contains(r.body, `"apiVersion":"`+version+`"`) {
			t.Errorf("%s: %d %s", version, r.code, r.body)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "garbage": "x", "changed": access + "x", "ID token": got["id_token"].(string), "refresh token": got["refresh_token"].(string), "two": access + " " + access,
	} {
		if r := ask("authentication.k8s.io/v1", "TokenReview", text); r.code != http.StatusOK || strings.Contains(r.body, `"authenticated":true`) || !strings.Contains(r.body, `"error":"the token is invalid`) {
			t.Errorf("%s: %d %s", name, r.code, r.body)
		}
	}
	// All that Kubernetes would know of them is the user, with all rights.
	w.Bearer = authn.New(w.Tokens, active{w.cluster}, w.Accounts, w.Passwords.(authn.BasicChecker), limitedTo{"core/pods:get"})
	if r := ask("authentication.k8s.io/v1", "TokenReview", "ksp_bob"); strings.Contains(r.body, `"authenticated":true`) || !strings.Contains(r.body, `"error":"the token is invalid`) {
		t.Errorf("a personal access token: %s", r.body)
	}
	if err := w.Sessions.End(t.Context(), claimsOf(t, access)["sid"].(string), "test"); err != nil {
		t.Fatal(err)
	}
	if r := ask("authentication.k8s.io/v1", "TokenReview", access); strings.Contains(r.body, `"authenticated":true`) {
		t.Errorf("P12: revoked: %s", r.body)
	}
	for _, r := range []reply{ask("v1", "TokenReview", access), ask("authentication.k8s.io/v1", "Pod", access), w.newBrowser(t).send(t, jsonRequest(t, w, "{"))} {
		if r.code != http.StatusBadRequest {
			t.Errorf("got %d %s", r.code, r.body)
		}
	}
}

// TestChallenge: a client may want name and password by HTTP Basic.
func TestChallenge(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	at := "/oauth/authorize?" + asked("client_id", "challenging").Encode()
	if r := b.get(t, at, header("Accept", "*/*")); r.code != http.StatusUnauthorized || !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Basic") || r.json(t)["error"] != "login_required" {
		t.Errorf("%d %v %s", r.code, r.header, r.body)
	}
	if to := b.get(t, at).location(t); to.Path != "/oauth/login" {
		t.Errorf("a person: %s", to)
	}
	withPassword := func(r *http.Request) { r.SetBasicAuth("bob", bobsPassword) }
	if to := b.get(t, at, withPassword).location(t); to.Query().Get("code") == "" {
		t.Errorf("with a password: %s", to)
	}
	if to := b.get(t, at, func(r *http.Request) { r.SetBasicAuth("bob", "x") }).location(t); to.Query().Get("error") == "" || to.Query().Has("code") {
		t.Errorf("with a wrong one: %s", to)
	}
	if to := b.get(t, "/oauth/authorize?"+asked().Encode(), withPassword).location(t); to.Path != "/oauth/login" {
		t.Errorf("a client that does not ask for it: %s", to)
	}
	// What was given to one client is no login at another.
	if to := b.get(t, at, bearer(w.tokens(t)["access_token"].(string))).location(t); to.Path != "/oauth/login" {
		t.Errorf("with a bearer token: %s", to)
	}
}
