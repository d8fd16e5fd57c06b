package authn

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

var errAway = errors.New("no answer from Kubernetes")

// world answers for everything an authenticator asks.
type world struct {
	checked []string // what was asked, in order
}

func (w *world) Verify(_ context.Context, text string) (*token.Claims, error) {
	w.checked = append(w.checked, "token")
	claims := func(name, session string) (*token.Claims, error) {
		return &token.Claims{RegisteredClaims: jwt.RegisteredClaims{Subject: name}, Username: name, Session: session}, nil
	}
	switch text {
	case "expired":
		return nil, token.ErrExpired
	case "sessionless":
		return claims("admin", "")
	case "over":
		return claims("admin", "over")
	case "unasked":
		return claims("admin", "unasked")
	case "extra":
		c, err := claims("admin", "on")
		c.Extra = map[string][]string{"uninitialized": {"true"}, ExtraSession: {"forged"}}
		return c, err
	case "admin", "disabled", "limited", "gone", "stateless", "unknown":
		return claims(text, "on")
	}
	return nil, token.ErrInvalid
}

func (w *world) Active(_ context.Context, id string) (bool, error) {
	w.checked = append(w.checked, "session")
	if id == "unasked" {
		return false, errAway
	}
	return id == "on", nil
}

func (w *world) Account(_ context.Context, name string) (iam.Account, bool, error) {
	w.checked = append(w.checked, "account")
	states := map[string]iamv1alpha2.UserState{"admin": iamv1alpha2.UserActive, "disabled": iamv1alpha2.UserDisabled, "limited": iamv1alpha2.UserAuthLimitExceeded, "stateless": ""}
	if name == "unknown" {
		return iam.Account{}, false, errAway
	}
	state, found := states[name]
	return iam.Account{Name: name, State: state, Groups: []string{"developers"}}, found, nil
}

func (w *world) AuthenticateRepeated(_ context.Context, attempt identity.Attempt) (*iamv1alpha2.User, error) {
	w.checked = append(w.checked, "password")
	if attempt.Name == "admin" && attempt.Password == "right" {
		return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "admin"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"developers"}}}, nil
	}
	return nil, identity.ErrIncorrect
}

// personal answers for personal access tokens.
type personal world

func (p *personal) Verify(_ context.Context, text string) (*accesstoken.Grant, error) {
	p.checked = append(p.checked, "personal")
	name, found := strings.CutPrefix(text, accesstoken.Prefix)
	if !found || name == "unknown" {
		return nil, accesstoken.ErrInvalid
	}
	return &accesstoken.Grant{Name: "pat-1", User: name, Scopes: []string{"read"}}, nil
}

func TestAuthenticate(t *testing.T) {
	basic := func(name, password string) string {
		r := &http.Request{Header: http.Header{}}
		r.SetBasicAuth(name, password)
		return r.Header.Get("Authorization")
	}
	for _, test := range []struct {
		name, header string
		who          string
		want         error
		asked        []string
	}{
		{"nothing is anonymous", "", user.Anonymous, nil, nil},
		{"token", "Bearer admin", "admin", nil, []string{"token", "account", "session"}},
		{"the scheme in small letters", "bearer admin", "admin", nil, []string{"token", "account", "session"}},
		{"token without a session", "Bearer sessionless", "", ErrSessionEnded, []string{"token", "account"}},
		{"token with more", "Bearer extra", "admin", nil, []string{"token", "account", "session"}},
		// Otherwise anybody could log out anybody with wrong passwords.
		{"too many failed logins do not end a session", "Bearer limited", "limited", nil, []string{"token", "account", "session"}},
		{"invalid token is never anonymous", "Bearer x", "", token.ErrInvalid, []string{"token"}},
		{"expired token", "Bearer expired", "", token.ErrExpired, []string{"token"}},
		{"token of a disabled user", "Bearer disabled", "", ErrNotActive, []string{"token", "account"}},
		{"token of a user without a state", "Bearer stateless", "", ErrNotActive, []string{"token", "account"}},
		{"token of a deleted user", "Bearer gone", "", ErrNotActive, []string{"token", "account"}},
		{"token of a session that ended", "Bearer over", "", ErrSessionEnded, []string{"token", "account", "session"}},
		{"users cannot be read", "Bearer unknown", "", errAway, []string{"token", "account"}},
		{"sessions cannot be read", "Bearer unasked", "", errAway, []string{"token", "account", "session"}},
		{"personal access token", "Bearer ksp_admin", "admin", nil, []string{"personal", "account"}},
		{"one nobody has", "Bearer ksp_unknown", "", accesstoken.ErrInvalid, []string{"personal"}},
		{"one of a disabled user", "Bearer ksp_disabled", "", ErrNotActive, []string{"personal", "account"}},
		{"one of a deleted user", "Bearer ksp_gone", "", ErrNotActive, []string{"personal", "account"}},
		{"password", basic("admin", "right"), "admin", nil, []string{"password"}},
		{"wrong password is never anonymous", basic("admin", "wrong"), "", identity.ErrIncorrect, []string{"password"}},
		{"no password", basic("admin", ""), "", identity.ErrIncorrect, []string{"password"}},
		{"Basic that is no base64", "Basic !", "", ErrUnsupported, nil},
		{"Bearer without a token", "Bearer ", "", ErrUnsupported, nil},
		{"Bearer alone", "Bearer", "", ErrUnsupported, nil},
		{"another scheme", "Digest username=admin", "", ErrUnsupported, nil},
		{"a token without a scheme", "admin", "", ErrUnsupported, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := &world{}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			if test.header != "" {
				r.Header.Set("Authorization", test.header)
			}
			response, found, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
			if !errors.Is(err, test.want) || found != (test.want == nil) {
				t.Fatalf("got %v, %v, want %v", found, err, test.want)
			}
			if !slices.Equal(w.checked, test.asked) {
				t.Errorf("asked for %v, want %v", w.checked, test.asked)
			}
			if !found {
				return
			}
			if got := response.User.GetName(); got != test.who {
				t.Errorf("it is %s", got)
			}
			groups := []string{"developers", user.AllAuthenticated}
			if test.who == user.Anonymous {
				groups = []string{user.AllUnauthenticated}
			}
			if got := response.User.GetGroups(); !slices.Equal(got, groups) {
				t.Errorf("groups %v, want %v", got, groups)
			}
			if got := r.Header.Get("Authorization"); got != "" {
				t.Errorf("the credentials go on with the request: %s", got)
			}
		})
	}
}

func TestExtra(t *testing.T) {
	w := &world{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer extra")
	response, _, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	extra := response.User.GetExtra()
	if !slices.Equal(extra["uninitialized"], []string{"true"}) {
		t.Errorf("what the token says of the user is lost: %v", extra)
	}
	if !slices.Equal(extra[ExtraSession], []string{"on"}) {
		t.Errorf("the session is not that of the token: %v", extra)
	}
}

// TestScopesOfPersonalTokens: the scopes go on with who it is.
func TestScopesOfPersonalTokens(t *testing.T) {
	w := &world{}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer ksp_admin")
	response, _, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
	if err != nil || !slices.Equal(response.User.GetExtra()[authz.ExtraScopes], []string{"read"}) {
		t.Errorf("got %v, %v", response, err)
	}
}

// TestTokenElsewhere: credentials are read from one place only.
func TestTokenElsewhere(t *testing.T) {
	w := &world{}
	for _, target := range []string{"/?access_token=admin", "/?token=admin"} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("Cookie", "token=admin")
		r.Header.Set("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.YWRtaW4")
		r.Header.Set("X-Remote-User", "admin")
		r.Header.Set("Impersonate-User", "admin")
		response, _, err := New(w, w, w, w, (*personal)(w)).AuthenticateRequest(r)
		if err != nil || response.User.GetName() != user.Anonymous {
			t.Errorf("%s: %v, %v", target, response, err)
		}
	}
}
