package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// Who and what there is in the world of the tests.
const (
	bobsPassword = "correct horse battery staple"
	callbackURI  = "https://app.example.com/callback"
	verifier     = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
)

func challengeOf(verifier string) string {
	digest := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(digest[:])
}

// world is a token service over a cluster in memory, with a clock a test sets.
type world struct {
	*Handler
	*httptest.Server
	cluster client.WithWatch
	mu      sync.Mutex
	clock   time.Time
	logins  []iam.Login
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// source are keys that never change.
type source struct{ keys token.Keys }

func (s source) Keys() token.Keys              { return s.keys }
func (s source) Refresh(context.Context) error { return nil }

// accounts are users as the cluster has them.
type accounts struct{ client.Client }

func (a accounts) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	user := &iamv1alpha2.User{}
	return user, a.Client.Get(ctx, client.ObjectKey{Name: name}, user)
}

func (a accounts) Account(ctx context.Context, name string) (iam.Account, bool, error) {
	user, err := a.Get(ctx, name)
	if err != nil {
		return iam.Account{}, false, client.IgnoreNotFound(err)
	}
	return iam.Account{Name: name, State: user.Status.State, Groups: user.Spec.Groups}, true, nil
}

func (a accounts) NameByOrigin(ctx context.Context, provider, subject string) (string, bool, error) {
	return (&iam.Directory{Client: a.Client}).NameByOrigin(ctx, provider, subject)
}

func (a accounts) ClaimedGroups(ctx context.Context, user string, names []string) ([]string, error) {
	return (&iam.Directory{Client: a.Client}).ClaimedGroups(ctx, user, names)
}

// passwords are those of users, without bcrypt.
type passwords struct {
	accounts
	known map[string]string
}

func (p passwords) AuthenticateRepeated(ctx context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error) {
	return p.Authenticate(ctx, attempt)
}

func (p passwords) Authenticate(ctx context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error) {
	user, err := p.Get(ctx, attempt.Name)
	if apierrors.IsNotFound(err) || err == nil && (attempt.Password == "" || p.known[attempt.Name] != attempt.Password || user.Status.State != iamv1alpha2.UserActive) {
		return nil, identity.ErrIncorrect
	}
	return user, err
}

// active asks the cluster about sessions.
type active struct{ client.Client }

func (a active) Active(ctx context.Context, id string) (bool, error) {
	found := &iamv1alpha2.Session{}
	err := a.Get(ctx, client.ObjectKey{Name: id}, found)
	return err == nil && !found.Spec.Revoked, client.IgnoreNotFound(err)
}

func userNamed(name string, change func(*iamv1alpha2.User)) *iamv1alpha2.User {
	u := &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-of-" + "user"},
		Spec:       iamv1alpha2.UserSpec{Email: name + "@example.com", DisplayName: strings.ToUpper(name), Lang: "en", Groups: []string{"team"}},
		Status:     iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive},
	}
	if change != nil {
		change(u)
	}
	return u
}

func newWorld(t testing.TB) *world {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{clock: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	w.cluster = fake.NewClientBuilder().WithScheme(scheme).WithObjects(userNamed("bob", nil), userNamed("carol", nil),
		userNamed("robot", nil), userNamed("former", func(u *iamv1alpha2.User) { u.Status.State = iamv1alpha2.UserDisabled })).Build()
	keys, _, err := token.Rotation{Period: 24 * time.Hour}.Next(nil, w.clock.Add(-time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	users := accounts{w.cluster}
	checker := passwords{users, map[string]string{"bob": bobsPassword, "carol": "carols", "former": "formers"}}
	w.Handler = &Handler{
		Clients: &oauthclient.Clients{Reader: w.cluster, Namespace: kube.Namespace, Now: w.now, Configured: []config.Client{
			{Name: "kubesphere", Secret: "kubesphere", RedirectURIs: []string{callbackURI}, PostLogoutRedirectURIs: []string{"https://app.example.com/bye"}},
			{Name: "asking", Secret: "asking secret", GrantMethod: config.GrantPrompt, RedirectURIs: []string{callbackURI}, ScopeRestrictions: []string{"openid", "email"}},
			{Name: "denied", Secret: "x", GrantMethod: config.GrantDeny, RedirectURIs: []string{callbackURI}},
			{Name: "native", GrantMethod: config.GrantAuto, RedirectURIs: []string{"http://127.0.0.1/cb"}},
			{Name: "challenging", GrantMethod: config.GrantAuto, RespondWithChallenges: true, RedirectURIs: []string{callbackURI}},
			{Name: "service", Secret: "service secret", User: "robot", AccessTokenMaxAge: &metav1.Duration{Duration: 5 * time.Minute}},
			{Name: "odd name", Secret: "a+b c%"},
		}},
		Passwords: checker,
		Sessions: &session.Sessions{Client: w.cluster, Now: w.now, Random: rand.Reader, Lifetime: 24 * time.Hour, IdleTimeout: 4 * time.Hour,
			Grace: 10 * time.Second},
		Accounts: users, Lifetime: 2 * time.Hour, MultipleLogin: true, PasswordGrant: true, Product: "Product <X>",
		Record: func(_ context.Context, l iam.Login) { w.mu.Lock(); w.logins = append(w.logins, l); w.mu.Unlock() },
	}
	var container *route.Container
	w.Server = httptest.NewServer(http.HandlerFunc(func(writer http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/oauth/userinfo") || strings.HasPrefix(r.URL.Path, "/oauth/logout") || r.URL.Path == "/api" {
			found, ok, err := w.Bearer.AuthenticateRequest(r)
			if err != nil || !ok {
				writer.WriteHeader(http.StatusUnauthorized)
				return
			}
			r = r.WithContext(kuberequest.WithUser(r.Context(), found.User))
		}
		if r.URL.Path == "/api" {
			who, _ := kuberequest.UserFrom(r.Context())
			_, _ = io.WriteString(writer, who.GetName())
			return
		}
		container.ServeHTTP(writer, r)
	}))
	t.Cleanup(w.Close)
	w.Tokens = token.NewService(w.URL, 10*time.Second, source{keys}, w.now, rand.Reader)
	w.Bearer = authn.New(w.Tokens, active{w.cluster}, users, checker, nil)
	if container, err = route.NewContainer(append(w.Groups(), w.LoginGroup())...); err != nil {
		t.Fatal(err)
	}
	return w
}

// reply is an answer with its body read.
type reply struct {
	code   int
	header http.Header
	body   string
}

func (r reply) json(t testing.TB) map[string]any {
	t.Helper()
	var value map[string]any
	if err := json.Unmarshal([]byte(r.body), &value); err != nil {
		t.Fatalf("%d %s: %v", r.code, r.body, err)
	}
	return value
}

// location is where an answer redirects to.
func (r reply) location(t testing.TB) *url.URL {
	t.Helper()
	to, err := url.Parse(r.header.Get("Location"))
	if err != nil || r.code/100 != 3 {
		t.Fatalf("%d %v %s", r.code, r.header, r.body)
	}
	return to
}

// browser keeps cookies and follows nothing.
type browser struct {
	*world
	*http.Client
}

func (w *world) newBrowser(t testing.TB) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) send(t testing.TB, r *http.Request) reply {
	t.Helper()
	response, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, response.Header, string(body)}
}

type option func(*http.Request)

func header(name, value string) option { return func(r *http.Request) { r.Header.Set(name, value) } }
func basic(name, secret string) option {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(name), url.QueryEscape(secret)) }
}
func bearer(token string) option { return header("Authorization", "Bearer "+token) }

func (b *browser) get(t testing.TB, path string, options ...option) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.at(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for _, apply := range options {
		apply(r)
	}
	return b.send(t, r)
}

func (b *browser) at(path string) string {
	if strings.HasPrefix(path, "http") {
		return path
	}
	return b.URL + path
}

// post sends a form whose fields come in pairs.
func (b *browser) post(t testing.TB, path string, fields []string, options ...option) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.at(path), strings.NewReader(pairs(fields...).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form)
	for _, apply := range options {
		apply(r)
	}
	return b.send(t, r)
}

func pairs(fields ...string) url.Values {
	values := url.Values{}
	for n := 0; n < len(fields); n += 2 {
		values.Add(fields[n], fields[n+1])
	}
	return values
}

// call is a request of an application, which keeps no cookies.
func (w *world) call(t testing.TB, path string, fields []string, options ...option) reply {
	t.Helper()
	return (&browser{w, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}).post(t, path, fields, options...)
}

var hiddenField = regexp.MustCompile(`name="(token|continue|user_code|state|client_id|post_logout_redirect_uri)" value="([^"]*)"`)

// submit sends the form of a page with its hidden fields, as a page of ours.
func (b *browser) submit(t testing.TB, path string, page reply, fields ...string) reply {
	t.Helper()
	for _, found := range hiddenField.FindAllStringSubmatch(page.body, -1) {
		fields = append(fields, found[1], strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`).Replace(found[2]))
	}
	return b.post(t, path, fields, header("Origin", b.URL), header("Sec-Fetch-Site", "same-origin"), header("Accept", "text/html"))
}

// logIn logs a user in at the login page and returns where that leads.
func (b *browser) logIn(t testing.TB, page string, name, password string) reply {
	t.Helper()
	shown := b.get(t, page)
	if shown.code != http.StatusOK || !strings.Contains(shown.body, `type="password"`) {
		t.Fatalf("no login page: %d %s", shown.code, shown.body)
	}
	return b.submit(t, "/oauth/login", shown, "username", name, "password", password)
}

// asked is the query of a request for authorization, changed by pairs; an
// empty value takes a parameter away.
func asked(fields ...string) url.Values {
	values := pairs("client_id", "kubesphere", "response_type", "code", "redirect_uri", callbackURI, "scope", "openid profile email groups", "state", "the state", "nonce", "the nonce",
		"code_challenge", challengeOf(verifier), "code_challenge_method", "S256")
	for n := 0; n < len(fields); n += 2 {
		if values.Set(fields[n], fields[n+1]); fields[n+1] == "" {
			values.Del(fields[n])
		}
	}
	return values
}

// code is one bob gets in a browser he logs in with, if he is not yet.
func (b *browser) code(t testing.TB, fields ...string) string {
	t.Helper()
	at := "/oauth/authorize?" + asked(fields...).Encode()
	answer := b.get(t, at)
	if to := answer.location(t); strings.HasSuffix(to.Path, "/oauth/login") {
		answer = b.get(t, b.logIn(t, to.String(), "bob", bobsPassword).location(t).String())
	}
	to := answer.location(t)
	if to.Query().Get("code") == "" {
		t.Fatalf("no code: %s", to)
	}
	return to.Query().Get("code")
}

// exchange are the fields of a token request for a code, changed by pairs.
func exchange(code string, fields ...string) []string {
	values := pairs("grant_type", "authorization_code", "code", code, "redirect_uri", callbackURI, "code_verifier", verifier, "client_id", "kubesphere", "client_secret", "kubesphere")
	for n := 0; n < len(fields); n += 2 {
		if values.Set(fields[n], fields[n+1]); fields[n+1] == "" {
			values.Del(fields[n])
		}
	}
	var all []string
	for name := range values {
		all = append(all, name, values.Get(name))
	}
	return all
}

func passwordFields(fields ...string) []string {
	return append([]string{"grant_type", "password", "username", "bob", "password", bobsPassword, "client_id", "kubesphere", "client_secret", "kubesphere"}, fields...)
}

// tokens are got by the password of bob.
func (w *world) tokens(t testing.TB, fields ...string) map[string]any {
	t.Helper()
	answer := w.call(t, "/oauth/token", passwordFields(fields...))
	if answer.code != http.StatusOK {
		t.Fatalf("%d %s", answer.code, answer.body)
	}
	return answer.json(t)
}

// accepts reports whether the API accepts an access token.
func (w *world) accepts(t testing.TB, access any) bool {
	t.Helper()
	return w.newBrowser(t).get(t, "/api", bearer(access.(string))).code == http.StatusOK
}

func (w *world) sessions(t testing.TB) []iamv1alpha2.Session {
	t.Helper()
	list := &iamv1alpha2.SessionList{}
	if err := w.cluster.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}
