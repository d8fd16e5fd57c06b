package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// elsewhere is an identity provider of both kinds, with its people by name.
type elsewhere struct {
	people map[string]identity.External
	visits []identity.Visit
}

func (e *elsewhere) Authenticate(_ context.Context, username, password string) (identity.External, error) {
	if username == "down" {
		return identity.External{}, errors.New("dial tcp: refused with the password " + password)
	}
	if found, known := e.people[username]; known && password == "secret of "+username {
		return found, nil
	}
	return identity.External{}, identity.ErrIncorrect
}

func (e *elsewhere) LoginURL(_ context.Context, visit identity.Visit) (string, error) {
	e.visits = append(e.visits, visit)
	return "https://idp.example.com/login?state=" + visit.State, nil
}

func (e *elsewhere) Return(_ context.Context, visit identity.Visit, parameters url.Values) (identity.External, error) {
	if found, known := e.people[parameters.Get("code")]; known && visit.State == parameters.Get("state") {
		e.visits = append(e.visits, visit)
		return found, nil
	}
	return identity.External{}, identity.ErrIncorrect
}

// directory are the providers, and the accounts of their people.
type directory struct {
	world *world
	elsewhere
}

func (d *directory) Provider(_ context.Context, name string) (*identity.Provider, error) {
	switch name {
	case "ldap":
		return &identity.Provider{Name: name, Title: "The <company>", Password: &d.elsewhere}, nil
	case "oidc":
		return &identity.Provider{Name: name, Redirect: &d.elsewhere}, nil
	}
	return nil, nil
}

func (d *directory) List(ctx context.Context) ([]*identity.Provider, error) {
	ldap, _ := d.Provider(ctx, "ldap")
	oidc, _ := d.Provider(ctx, "oidc")
	return []*identity.Provider{ldap, oidc}, nil
}

func (d *directory) Resolve(ctx context.Context, provider *identity.Provider, who identity.External) (*iamv1alpha2.User, map[string][]string, error) {
	switch who.Subject {
	case "stranger":
		return nil, nil, identity.ErrNotMapped
	case "newcomer":
		return nil, map[string][]string{"idp": {provider.Name}, "uid": {who.Subject}, "username": {who.Username}, "email": {who.Email}}, nil
	}
	user, err := d.world.Accounts.Get(ctx, who.Username)
	return user, nil, err
}

func newWorldWithProviders(t *testing.T) (*world, *directory) {
	w := newWorld(t)
	d := &directory{world: w, elsewhere: elsewhere{people: map[string]identity.External{
		"bob": {Subject: "1", Username: "bob"}, "stranger": {Subject: "stranger"}, "newcomer": {Subject: "newcomer", Username: "new", Email: "new@example.com"},
	}}}
	w.Providers, w.External = d, d
	return w, d
}

func TestPasswordProvider(t *testing.T) {
	w, _ := newWorldWithProviders(t)
	// The contract of KubeSphere 3.4: no client credentials, tokens of the console.
	r := w.call(t, "/oauth/login/ldap", []string{"username", "bob", "password", "secret of bob"})
	if got := r.json(t); r.code != http.StatusOK || !w.accepts(t, got["access_token"]) || claimsOf(t, got["access_token"])["client_id"] != "kubesphere" {
		t.Fatalf("%d %s", r.code, r.body)
	}
	if spec := w.sessions(t)[0].Spec; spec.Provider != "ldap" || spec.User != "bob" {
		t.Errorf("stored %+v", spec)
	}
	for _, test := range []struct {
		name, path, username, password string
		code                           int
	}{
		{"wrong", "ldap", "bob", bobsPassword, 400},
		{"no password", "ldap", "bob", "", 400},
		{"no account", "ldap", "stranger", "secret of stranger", 400},
		{"down", "ldap", "down", "hunter2", 503},
		{"unknown provider", "other", "bob", "secret of bob", 404},
		{"a provider without passwords", "oidc", "bob", "secret of bob", 404},
	} {
		if r := w.call(t, "/oauth/login/"+test.path, []string{"username", test.username, "password", test.password}); r.code != test.code || strings.Contains(r.body, "hunter2") {
			t.Errorf("%s: %d %s", test.name, r.code, r.body)
		}
	}
	if r := w.call(t, "/oauth/token", passwordFields("provider", "ldap")); r.code != http.StatusBadRequest {
		t.Errorf("bob's own password at the provider: %d", r.code)
	}
	w.Attempts = identity.NewAttempts(identity.NewBackoff(2, time.Hour, w.now))
	for n, want := range []int{400, 400, 429} {
		if r := w.call(t, "/oauth/login/ldap", []string{"username", "bob", "password", "guess"}); r.code != want || want == 429 && r.header.Get("Retry-After") == "" {
			t.Errorf("guess %d: %d %s", n+1, r.code, r.body)
		}
	}
	w.Attempts = nil
	b := w.newBrowser(t)
	page := b.get(t, "/oauth/login")
	if !strings.Contains(page.body, "The &lt;company&gt;") || !strings.Contains(page.body, "/oauth/login/oidc?") || strings.Contains(page.body, "/oauth/login/ldap") {
		t.Errorf("offered: %s", page.body)
	}
	if r := b.submit(t, "/oauth/login", page, "username", "bob", "password", "wrong", "provider", "ldap"); r.code != http.StatusUnauthorized || !strings.Contains(r.body, `value="ldap" selected`) {
		t.Errorf("the choice is lost: %d %s", r.code, r.body)
	}
	if r := b.submit(t, "/oauth/login", page, "username", "bob", "password", "secret of bob", "provider", "ldap"); r.code != http.StatusSeeOther {
		t.Errorf("%d %s", r.code, r.body)
	}
}

func TestRedirectProvider(t *testing.T) {
	w, d := newWorldWithProviders(t)
	visit := func(b *browser) string {
		to := b.get(t, "/oauth/login/oidc?"+url.Values{"continue": {"authorize?" + asked().Encode()}}.Encode()).location(t)
		if to.Host != "idp.example.com" {
			t.Fatalf("to %s", to)
		}
		return to.Query().Get("state")
	}
	back := func(b *browser, code, state string) reply {
		return b.get(t, "/oauth/callback/oidc?"+url.Values{"code": {code}, "state": {state}}.Encode())
	}
	b := w.newBrowser(t)
	state := visit(b)
	to := back(b, "bob", state).location(t)
	if to := b.get(t, to.String()).location(t); to.Host != "app.example.com" || to.Query().Get("code") == "" {
		t.Errorf("to %s", to)
	}
	out, in := d.visits[0], d.visits[1]
	if out != in || len(out.Nonce) < 26 || len(out.Verifier) < 43 || len(out.State) < 26 || out.CallbackURL != w.URL+"/oauth/callback/oidc" {
		t.Errorf("visits %+v %+v", out, in)
	}
	for name, test := range map[string]struct {
		code, state string
		want        int
	}{
		"another state":         {"bob", "x", 403},
		"no state":              {"bob", "", 403},
		"the provider said no":  {"x", "right", 403},
		"no account":            {"stranger", "right", 403},
		"has to confirm":        {"newcomer", "right", 403},
		"the state of a friend": {"bob", "friend", 403},
	} {
		b := w.newBrowser(t)
		state := visit(b)
		switch test.state {
		case "friend":
			state = visit(w.newBrowser(t))
		case "right":
		default:
			state = test.state
		}
		if r := back(b, test.code, state); r.code != test.want || r.header.Get("Location") != "" {
			t.Errorf("%s: %d %s", name, r.code, r.header.Get("Location"))
		}
	}
	b = w.newBrowser(t)
	state = visit(b)
	back(b, "x", state)
	// The cookie is gone: what comes now is not ours.
	if r := back(b, "bob", state); r.code != http.StatusOK || r.json(t)["access_token"] == nil {
		t.Errorf("the console's contract: %d %s", r.code, r.body)
	}
	if r := w.newBrowser(t).get(t, "/oauth/login/ldap"); r.code != http.StatusNotFound {
		t.Errorf("a provider without a page: %d", r.code)
	}
}

// TestConsoleCallback: the console's server began the visit, and gets tokens,
// those of a newcomer being good for nothing but to confirm his account.
func TestConsoleCallback(t *testing.T) {
	w, _ := newWorldWithProviders(t)
	call := func(code string) reply {
		return w.newBrowser(t).get(t, "/oauth/callback/oidc?"+url.Values{"code": {code}, "state": {"the console's"}}.Encode(), header("Accept", "application/json"))
	}
	if got := call("bob").json(t); !w.accepts(t, got["access_token"]) {
		t.Errorf("%v", got)
	}
	for code, want := range map[string]int{"x": 400, "stranger": 400} {
		if r := call(code); r.code != want {
			t.Errorf("%s: %d %s", code, r.code, r.body)
		}
	}
	got := call("newcomer").json(t)
	claims := claimsOf(t, got["access_token"])
	extra, err := json.Marshal(claims["extra"])
	if err != nil || claims["sub"] != identity.PreRegistration || string(extra) != `{"email":["new@example.com"],"idp":["oidc"],"uid":["newcomer"],"username":["new"]}` {
		t.Errorf("%v", claims)
	}
	refresh := func() reply {
		return w.call(t, "/oauth/token", []string{"grant_type", "refresh_token", "refresh_token", got["refresh_token"].(string)}, basic("kubesphere", "kubesphere"))
	}
	if r := w.call(t, "/oauth/authenticate", nil, func(r *http.Request) {
		*r = *jsonRequest(t, w, `{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"`+got["access_token"].(string)+`"}}`)
	}); strings.Contains(r.body, `"authenticated":true`) {
		t.Errorf("Kubernetes takes him for somebody: %s", r.body)
	}
	registered := userNamed("new", func(u *iamv1alpha2.User) {
		u.ObjectMeta = metav1.ObjectMeta{Name: "new", Labels: map[string]string{iamv1alpha2.LabelIdentityProvider: "oidc", iamv1alpha2.LabelOriginUID: "newcomer"}}
	})
	if r := refresh(); r.code != http.StatusBadRequest {
		t.Errorf("before the account is confirmed: %d %s", r.code, r.body)
	}
	if err := w.cluster.Create(t.Context(), registered); err != nil {
		t.Fatal(err)
	}
	after := refresh()
	if got := after.json(t); after.code != http.StatusOK || claimsOf(t, got["access_token"])["sub"] != "new" || !w.accepts(t, got["access_token"]) {
		t.Errorf("after it: %d %s", after.code, after.body)
	}
}
