package authn

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// jwtOf is a JWT with claims, which nobody signed.
func jwtOf(t testing.TB, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString(payload) + ".c2lnbmF0dXJl"
}

// reviews answers reviews of tokens and counts them.
type reviews struct {
	mu     sync.Mutex
	asked  int
	status authenticationv1.TokenReviewStatus
	err    error
	wait   chan struct{}
}

func (r *reviews) Create(_ context.Context, review *authenticationv1.TokenReview, _ metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	r.mu.Lock()
	r.asked++
	r.mu.Unlock()
	if r.wait != nil {
		<-r.wait
	}
	answer := review.DeepCopy()
	answer.Status = r.status
	return answer, r.err
}

// TestServiceAccounts: Kubernetes says whose a token is, and the name alone says in
// which groups that is.
func TestServiceAccounts(t *testing.T) {
	const issuer = "https://ks.example.com"
	account := map[string]any{"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:n:s"}
	accepted := authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{
		Username: "system:serviceaccount:n:s", UID: "1", Groups: []string{"system:masters", "system:serviceaccounts"},
		Extra: map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/pod-name": {"p"}, ExtraSession: {"another's"}, "scopes": {"all"}},
	}}
	for _, test := range []struct {
		name   string
		token  string
		answer *reviews
		asked  int
		ok     bool
		err    error
	}{
		{name: "a service account", token: jwtOf(t, account), answer: &reviews{status: accepted}, asked: 1, ok: true},
		{name: "a token Kubernetes refuses", token: jwtOf(t, account), answer: &reviews{status: authenticationv1.TokenReviewStatus{Error: "expired"}}, asked: 1, err: token.ErrInvalid},
		{name: "a token of somebody else", token: jwtOf(t, account), answer: &reviews{status: authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "admin"}}}, asked: 1, err: token.ErrInvalid},
		{name: "Kubernetes is away", token: jwtOf(t, account), answer: &reviews{err: apierrors.NewServiceUnavailable("away")}, asked: 1, err: status.Unavailable(5, "")},
		{name: "one of this server", token: jwtOf(t, map[string]any{"iss": issuer, "sub": "system:serviceaccount:n:s"}), answer: &reviews{status: accepted}},
		{name: "one of a user", token: jwtOf(t, map[string]any{"iss": "https://kubernetes.default.svc", "sub": "jane"}), answer: &reviews{status: accepted}},
		{name: "one that only mentions a service account", token: jwtOf(t, map[string]any{"iss": "x", "sub": "jane", "about": "system:serviceaccount:n:s"}), answer: &reviews{status: accepted}},
		{name: "no JWT", token: "ksp_system:serviceaccount:n:s", answer: &reviews{status: accepted}},
		{name: "a longer one than any", token: jwtOf(t, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s", "more": strings.Repeat("x", maxServiceAccountToken)}), answer: &reviews{status: accepted}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := NewServiceAccounts(test.answer, issuer)
			for range 2 {
				found, ok, err := a.AuthenticateToken(t.Context(), test.token)
				if ok != test.ok || (err == nil) != (test.err == nil) || test.err != nil && !errors.Is(err, test.err) && status.Of(err).Code != status.Of(test.err).Code {
					t.Fatalf("got %v, %v", ok, err)
				}
				if !ok {
					continue
				}
				who := found.User
				if who.GetName() != "system:serviceaccount:n:s" || !slices.Equal(who.GetGroups(), []string{"system:serviceaccounts", "system:serviceaccounts:n"}) || who.GetUID() != "1" || len(who.GetExtra()) != 1 {
					t.Errorf("it is %+v", who)
				}
			}
			if want := test.asked; test.answer.err == nil && test.answer.asked != want || test.answer.asked < want {
				t.Errorf("Kubernetes was asked %d times", test.answer.asked)
			}
		})
	}
}

// TestManyServiceAccountTokens: a client that makes tokens up has its share of the
// reviews. It keeps neither another address from having tokens reviewed, nor a
// token that was reviewed from being accepted at its own address.
func TestManyServiceAccountTokens(t *testing.T) {
	r := &reviews{status: authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:n:s"}}}
	a := NewServiceAccounts(r, "https://ks.example.com")
	from := func(address string) context.Context {
		return request.NewContext(t.Context(), request.Origin{Address: address}, nil)
	}
	numbered := func(n int) string {
		return jwtOf(t, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s", "jti": n})
	}
	const reviewed = -1
	if _, ok, err := a.AuthenticateToken(from("192.0.2.1"), numbered(reviewed)); !ok {
		t.Fatal(err)
	}
	r.wait = make(chan struct{})
	flood := func(address string, first int) chan error {
		outcomes := make(chan error, 4*concurrentReviews)
		for n := range cap(outcomes) {
			text := numbered(first + n)
			go func() {
				_, _, err := a.AuthenticateToken(from(address), text)
				outcomes <- err
			}()
		}
		for range cap(outcomes) - reviewsPerAddress - reviewQueue {
			if err := <-outcomes; !errors.Is(err, identity.ErrBusy) {
				t.Errorf("one too many: %v", err)
			}
		}
		return outcomes
	}
	first := flood("192.0.2.1", 0)
	if _, ok, err := a.AuthenticateToken(from("192.0.2.1"), numbered(reviewed)); !ok {
		t.Errorf("a token that was reviewed a moment ago: %v", err)
	}
	second := flood("192.0.2.2", 1000)
	close(r.wait)
	for _, outcomes := range []chan error{first, second} {
		for range reviewsPerAddress + reviewQueue {
			if err := <-outcomes; err != nil {
				t.Errorf("one within the share: %v", err)
			}
		}
	}
}

// TestKnownServiceAccountToken: a token that Kubernetes accepted before is reviewed
// again while made-up ones from its address wait for their reviews.
func TestKnownServiceAccountToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reviews{status: authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:n:s"}}}
		a := NewServiceAccounts(r, "https://ks.example.com").(*serviceAccounts)
		known := jwtOf(t, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s"})
		if _, ok, err := a.AuthenticateToken(t.Context(), known); !ok {
			t.Fatal(err)
		}
		a.responses.RemoveAll(func(any) bool { return true }) // as after the time a review is believed
		for range reviewsPerAddress {
			release, err := a.reviews.Take(t.Context(), identity.Network(""))
			if err != nil {
				t.Fatal(err)
			}
			defer release()
		}
		if _, ok, err := a.AuthenticateToken(t.Context(), known); !ok {
			t.Errorf("the known token: %v", err)
		}
		if _, _, err := a.AuthenticateToken(t.Context(), jwtOf(t, map[string]any{"iss": "y", "sub": "system:serviceaccount:n:s"})); !errors.Is(err, identity.ErrBusy) {
			t.Errorf("another token: %v", err)
		}
	})
}

// slowReviewer takes its time for each review.
type slowReviewer struct {
	reviews
	takes time.Duration
}

func (s *slowReviewer) Create(ctx context.Context, review *authenticationv1.TokenReview, options metav1.CreateOptions) (*authenticationv1.TokenReview, error) {
	time.Sleep(s.takes)
	return s.reviews.Create(ctx, review, options)
}

// TestServiceAccountTokensFromManyAddresses: whoever makes tokens up at several addresses does
// not keep those of others from being reviewed; six addresses had all reviews.
func TestServiceAccountTokensFromManyAddresses(t *testing.T) {
	for _, addresses := range []int{1, 4, 8, 32} {
		t.Run(fmt.Sprint(addresses), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &slowReviewer{takes: time.Second, reviews: reviews{status: authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:n:s"}}}}
				a := NewServiceAccounts(r, "https://ks.example.com")
				check := func(address string, number int) error {
					ctx := request.NewContext(t.Context(), request.Origin{Address: address}, nil)
					_, _, err := a.AuthenticateToken(ctx, jwtOf(t, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s", "jti": number}))
					return err
				}
				var running sync.WaitGroup
				for n := range 20 * addresses {
					running.Go(func() { _ = check(fmt.Sprint("192.0.2.", n%addresses), n) })
				}
				synctest.Wait()
				if err := check("198.51.100.1", -1); err != nil {
					t.Errorf("a token at another address: %v", err)
				}
				running.Wait()
			})
		})
	}
}

// TestSameServiceAccountToken: requests with one token share a review.
func TestSameServiceAccountToken(t *testing.T) {
	r := &reviews{wait: make(chan struct{}), status: authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "system:serviceaccount:n:s"}}}
	a := NewServiceAccounts(r, "https://ks.example.com")
	text := jwtOf(t, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s"})
	outcomes := make(chan error, 4*concurrentReviews)
	for range cap(outcomes) {
		go func() {
			_, _, err := a.AuthenticateToken(t.Context(), text)
			outcomes <- err
		}()
	}
	close(r.wait)
	for range cap(outcomes) {
		if err := <-outcomes; err != nil {
			t.Errorf("a request with the token of others: %v", err)
		}
	}
}

// TestSubprotocol: a page sends the token of a WebSocket as a subprotocol, which is
// taken away before the request goes on.
func TestSubprotocol(t *testing.T) {
	const prefix = "base64url.bearer.authorization.k8s.io."
	encoded := func(text string) string { return prefix + base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, test := range []struct {
		name, protocols string
		upgrade         bool
		user            string // "" for an error
		left            string
	}{
		{"a token", encoded("admin") + ", v5.channel.k8s.io", true, "admin", "v5.channel.k8s.io"},
		{"a token behind another", "a, " + encoded("admin") + ",b", true, "admin", "a,b"},
		{"nothing but a token, which no server could choose", encoded("admin"), true, "", ""},
		{"two tokens", encoded("admin") + "," + encoded("admin") + ",a", true, "", ""},
		{"no base64", prefix + "!!, a", true, "", ""},
		{"no token in it", prefix + ", a", true, user.Anonymous, prefix + ", a"},
		{"no WebSocket", encoded("admin") + ", a", false, user.Anonymous, encoded("admin") + ", a"},
	} {
		w := &world{}
		r := httptest.NewRequest(http.MethodGet, "/api/v1/namespaces/n/pods/p/exec", nil)
		r.Header.Set("Sec-WebSocket-Protocol", test.protocols)
		if test.upgrade {
			r.Header.Set("Connection", "Upgrade")
			r.Header.Set("Upgrade", "websocket")
		}
		found, _, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
		if test.user == "" {
			if err == nil {
				t.Errorf("%s: %v", test.name, found.User)
			}
			continue
		}
		if err != nil || found.User.GetName() != test.user || r.Header.Get("Sec-WebSocket-Protocol") != test.left {
			t.Errorf("%s: %v, %v, left %q", test.name, found, err, r.Header.Get("Sec-WebSocket-Protocol"))
		}
	}
}

// FuzzServiceAccountClaim: only JWTs of another issuer, about a service account, are
// such that Kubernetes is asked about.
func FuzzServiceAccountClaim(f *testing.F) {
	f.Add(jwtOf(f, map[string]any{"iss": "x", "sub": "system:serviceaccount:n:s"}))
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if !claimsServiceAccount(text, "x") {
			return
		}
		payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
		if err != nil || !strings.Contains(string(payload), "system:serviceaccount:") || claimsServiceAccount(text, "x") && len(text) > maxServiceAccountToken {
			t.Errorf("%q claims to be of a service account", text)
		}
	})
}

// TestServiceAccountAnywhere: a service account's token is known wherever its subject
// stands in the claims.
func TestServiceAccountAnywhere(t *testing.T) {
	for padding := range 12 {
		payload := `{"iss":"` + strings.Repeat("k", padding) + `","sub":"system:serviceaccount:n:a"}`
		text := "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
		if !claimsServiceAccount(text, "x") {
			t.Errorf("not known with an issuer of %d letters", padding)
		}
	}
	for _, payload := range []string{`{"iss":"k","sub":"jane"}`, `{"iss":"x","sub":"system:serviceaccount:n:a"}`, `{"iss":"k","sub":"system:serviceaccount"}`} {
		if claimsServiceAccount("e30."+base64.RawURLEncoding.EncodeToString([]byte(payload))+".c2ln", "x") {
			t.Errorf("%s is one of a service account", payload)
		}
	}
}

// TestOwnTokensAreKnown: tokens of this server are not searched for a service account, and
// those of Kubernetes are, whatever else is in the header.
func TestOwnTokensAreKnown(t *testing.T) {
	payload := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"kubernetes","sub":"system:serviceaccount:n:a"}`))
	for header, want := range map[string]bool{
		`{"alg":"ES256","kid":"k","typ":"at+jwt"}`: false, `{"alg":"ES256","kid":"kk","typ":"at+jwt"}`: false, `{"alg":"ES256","kid":"kkk","typ":"at+jwt"}`: false,
		`{"alg":"RS256","kid":"k"}`: true, `{"alg":"ES256","kid":"k","typ":"JWT"}`: true,
	} {
		if got := claimsServiceAccount(base64.RawURLEncoding.EncodeToString([]byte(header))+"."+payload+".x", "us"); got != want {
			t.Errorf("%s: %v", header, got)
		}
	}
}
