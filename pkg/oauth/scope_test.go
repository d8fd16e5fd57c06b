package oauth

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// restricted adds clients that are restricted to scopes to a world.
func restricted(w *world) {
	w.Clients.Configured = append(w.Clients.Configured,
		config.Client{Name: "mailer", Secret: "mailer", GrantMethod: config.GrantAuto, RedirectURIs: []string{callbackURI}, ScopeRestrictions: []string{"email", "openid", "offline_access"}},
		config.Client{Name: "foreign", Secret: "foreign", ScopeRestrictions: []string{"user:full"}},
		config.Client{Name: "robots", Secret: "robots", User: "robot", ScopeRestrictions: []string{"openid"}},
	)
}

// TestDefaultScopes: a client that names no scope gets those it is restricted to,
// and learns no more of the user (RFC 6749 §3.3).
func TestDefaultScopes(t *testing.T) {
	const everything = `{"sub":"bob","name":"BOB","preferred_username":"bob","locale":"en","email":"bob@example.com","email_verified":false,"groups":["team"]}`
	const insufficient = `{"error":"insufficient_scope","error_description":"the token was not granted the scope openid"}`
	w := newWorld(t)
	restricted(w)
	b := w.newBrowser(t)
	password := func(name string, fields ...string) reply {
		form := append([]string{"grant_type", "password", "username", "bob", "password", bobsPassword}, fields...)
		return w.call(t, "/oauth/token", form, basic(name, name))
	}
	for _, test := range []struct {
		name  string
		reply reply
		scope any
		want  string
	}{
		{"a restricted client", password("mailer"), "openid email", `{"sub":"bob","email":"bob@example.com","email_verified":false}`},
		{"one that sends blanks", password("mailer", "scope", "  "), "openid email", `{"sub":"bob","email":"bob@example.com","email_verified":false}`},
		{"one that names less", password("mailer", "scope", "openid"), "openid", `{"sub":"bob"}`},
		{"one whose restrictions are no scopes of ours", password("foreign"), nil, insufficient},
		{"one without restrictions", password("kubesphere"), nil, everything},
		{"by a code", w.call(t, "/oauth/token", []string{
			"grant_type", "authorization_code", "code", b.code(t, "client_id", "mailer", "scope", ""), "redirect_uri", callbackURI, "code_verifier", verifier,
		}, basic("mailer", "mailer")), "openid email", `{"sub":"bob","email":"bob@example.com","email_verified":false}`},
		{"of its own", w.call(t, "/oauth/token", []string{"grant_type", "client_credentials"}, basic("robots", "robots")), "openid", `{"sub":"robot"}`},
		{"of its own, without restrictions", w.call(t, "/oauth/token", []string{"grant_type", "client_credentials", "scope", "openid"}, basic("service", "service secret")), "openid", `{"sub":"robot"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.reply.json(t)
			if test.reply.code != http.StatusOK || got["scope"] != test.scope {
				t.Fatalf("%d %s", test.reply.code, test.reply.body)
			}
			if strings.HasPrefix(test.name, "of its own") && got["id_token"] != nil {
				t.Errorf("an ID token of a client: %s", test.reply.body)
			}
			if told := b.get(t, "/oauth/userinfo", bearer(got["access_token"].(string))); strings.TrimSpace(told.body) != test.want {
				t.Errorf("userinfo tells %s", told.body)
			}
		})
	}
	if r := w.call(t, "/oauth/token", []string{"grant_type", "client_credentials", "scope", "offline_access"}, basic("service", "service secret")); r.json(t)["error"] != "invalid_scope" {
		t.Errorf("a service that outlasts its login: %s", r.body)
	}
}

// TestDeviceDefaultScopes: a device of a restricted client that names no scope.
func TestDeviceDefaultScopes(t *testing.T) {
	w := newWorld(t)
	restricted(w)
	if r := w.call(t, "/oauth/device_authorization", nil, basic("mailer", "mailer")); r.code != http.StatusOK {
		t.Fatalf("%d %s", r.code, r.body)
	}
	devices := &iamv1alpha2.DeviceAuthorizationList{}
	if err := w.cluster.List(t.Context(), devices); err != nil || len(devices.Items) != 1 || !slices.Equal(devices.Items[0].Spec.Scopes, []string{"openid", "email"}) {
		t.Errorf("%v, %+v", err, devices.Items)
	}
}

// TestScopesOfToken: userinfo and introspection go by the scopes of the access token,
// not by those of its session.
func TestScopesOfToken(t *testing.T) {
	w := newWorld(t)
	b := w.newBrowser(t)
	first := w.tokens(t, "scope", "openid profile email")
	less := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", first["refresh_token"].(string), "scope", "openid"}, basic("kubesphere", "kubesphere")).json(t)
	withoutOpenID := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", less["refresh_token"].(string), "scope", "email"}, basic("kubesphere", "kubesphere")).json(t)
	all := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", withoutOpenID["refresh_token"].(string)}, basic("kubesphere", "kubesphere")).json(t)
	for _, test := range []struct {
		name   string
		tokens map[string]any
		scope  string
		code   int
		want   string
	}{
		{"the first token", first, "openid profile email", 200, `{"sub":"bob","name":"BOB","preferred_username":"bob","locale":"en","email":"bob@example.com","email_verified":false}`},
		{"a token of less", less, "openid", 200, `{"sub":"bob"}`},
		{"a token without openid", withoutOpenID, "email", 403, `{"error":"insufficient_scope","error_description":"the token was not granted the scope openid"}`},
		{"a token of all again", all, "openid profile email", 200, `{"sub":"bob","name":"BOB","preferred_username":"bob","locale":"en","email":"bob@example.com","email_verified":false}`},
	} {
		access := test.tokens["access_token"].(string)
		if r := b.get(t, "/oauth/userinfo", bearer(access)); r.code != test.code || strings.TrimSpace(r.body) != test.want {
			t.Errorf("%s: userinfo %d %s", test.name, r.code, r.body)
		}
		if r := w.call(t, "/oauth/introspect", []string{"token", access}, basic("kubesphere", "kubesphere")).json(t); r["scope"] != test.scope {
			t.Errorf("%s: introspection %v", test.name, r)
		}
	}
}

// TestScopesOfOlderSession: a session of a restricted client that an earlier version
// started without scopes tells no more than the client may know.
func TestScopesOfOlderSession(t *testing.T) {
	w := newWorld(t)
	restricted(w)
	b := w.newBrowser(t)
	got := w.call(t, "/oauth/token", []string{"grant_type", "password", "username", "bob", "password", bobsPassword}, basic("mailer", "mailer")).json(t)
	sessions := &iamv1alpha2.SessionList{}
	if err := w.cluster.List(t.Context(), sessions); err != nil || len(sessions.Items) != 1 {
		t.Fatal(err, sessions.Items)
	}
	older := sessions.Items[0].DeepCopy()
	older.Spec.Scopes = nil
	if err := w.cluster.Patch(t.Context(), older, client.MergeFrom(&sessions.Items[0])); err != nil {
		t.Fatal(err)
	}
	next := w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)}, basic("mailer", "mailer")).json(t)
	if next["scope"] != "openid email" {
		t.Errorf("refreshed: %v", next)
	}
	if r := b.get(t, "/oauth/userinfo", bearer(next["access_token"].(string))); strings.TrimSpace(r.body) != `{"sub":"bob","email":"bob@example.com","email_verified":false}` {
		t.Errorf("userinfo tells %s", r.body)
	}
}

// TestRefusedRefreshes: a refresh that is refused leaves the refresh token valid.
func TestRefusedRefreshes(t *testing.T) {
	w := newWorld(t)
	refresh := w.tokens(t, "scope", "openid email")["refresh_token"].(string)
	ask := func(scope string) reply {
		return w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", refresh, "scope", scope}, basic("kubesphere", "kubesphere"))
	}
	for _, scope := range []string{"openid groups", "magic"} {
		if r := ask(scope); r.code != http.StatusBadRequest || r.json(t)["error"] != "invalid_scope" {
			t.Errorf("%s: %d %s", scope, r.code, r.body)
		}
		w.pass(w.Sessions.Grace + 1) // a token that was used would be a replay now
	}
	bob := userNamed("bob", nil)
	setState := func(state iamv1alpha2.UserState) {
		t.Helper()
		if err := w.cluster.Get(t.Context(), client.ObjectKeyFromObject(bob), bob); err != nil {
			t.Fatal(err)
		}
		bob.Status.State = state
		if err := w.cluster.Update(t.Context(), bob); err != nil {
			t.Fatal(err)
		}
	}
	setState(iamv1alpha2.UserDisabled)
	if r := ask(""); r.code != http.StatusBadRequest || r.json(t)["error"] != "invalid_grant" {
		t.Errorf("a disabled user: %d %s", r.code, r.body)
	}
	setState(iamv1alpha2.UserActive)
	w.pass(w.Sessions.Grace + 1)
	if r := ask(""); r.code != http.StatusOK || r.json(t)["scope"] != "openid email" {
		t.Errorf("afterwards: %d %s", r.code, r.body)
	}
}
