package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// authorize is an authorizer by function.
type authorize func(authorizer.Attributes) (bool, error)

func (f authorize) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	allowed, err := f(a)
	if allowed && err == nil {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", err
}

// asHeader takes the name of the user from the Authorization header; "anonymous"
// when there is none. Names of errors fail with them.
func asHeader(r *http.Request) (*authenticator.Response, bool, error) {
	name := r.Header.Get("Authorization")
	if err := map[string]error{
		"expired": token.ErrExpired, "invalid": token.ErrInvalid, "starting": token.ErrNotReady, "busy": identity.ErrBusy, "incorrect": identity.ErrIncorrect,
		"over": authn.ErrSessionEnded, "inactive": authn.ErrNotActive, "unsupported": authn.ErrUnsupported, "odd": errors.New("secret detail"),
		"away": status.Unavailable(5, "users cannot be read"), "throttled": status.TooManyRequests(1, "too many tokens"), "canceled": context.Canceled,
	}[name]; err != nil {
		return nil, false, err
	}
	if name == "" {
		name = user.Anonymous
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: name}}, true, nil
}

// newServer serves handlers by their names at /kapis/test.io/v1/{name}.
func newServer(t testing.TB, change func(*Options), handlers map[string]route.Handler) *Server {
	t.Helper()
	group := route.Group{Prefix: "/kapis/test.io/v1", Tag: "Test"}
	for name, handler := range handlers {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			group.Routes = append(group.Routes, route.Route{
				Method: method, Path: "/" + name, ID: method + name, Summary: name, Responses: []route.Response{{Code: 200}}, Handler: handler,
				Parameters: []route.Parameter{{In: route.InPath, Name: "name"}},
			})
		}
	}
	options := Options{
		Config: config.Server{BindAddress: "127.0.0.1", MaxBodyBytes: 16, MaxRequestsInFlight: 4, ShutdownTimeout: metav1.Duration{Duration: 10 * time.Second}},
		Groups: []route.Group{group}, Authenticator: authenticator.RequestFunc(asHeader),
		Authorizer: authorize(func(authorizer.Attributes) (bool, error) { return true, nil }),
		Registry:   prometheus.NewRegistry(),
	}
	if change != nil {
		change(&options)
	}
	s, err := New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// ask sends a request through the chain, without a connection.
func ask(s *Server, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	for n := 0; n < len(header); n += 2 {
		r.Header.Add(header[n], header[n+1])
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

func wantStatus(t testing.TB, w *httptest.ResponseRecorder, code int) metav1.Status {
	t.Helper()
	var got metav1.Status
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != code || got.Code != int32(code) || got.Kind != "Status" {
		t.Errorf("got %d %s, want a Status with %d", w.Code, w.Body, code)
	}
	return got
}

func text(body string) route.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		_, err := w.Write([]byte(body))
		return err
	}
}

// TestCredentials: what a client is told whose credentials are not accepted.
func TestCredentials(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": text("a")})
	for _, test := range []struct {
		name, header string
		code         int
		challenge    string // part of WWW-Authenticate
	}{
		{"nobody", "", 200, ""},
		{"somebody", "admin", 200, ""},
		{"expired", "expired", 401, `error="invalid_token", error_description="token is expired`},
		{"invalid", "invalid", 401, `error_description="token signature is invalid"`},
		{"incorrect", "incorrect", 401, `incorrect user name or password`},
		{"session over", "over", 401, "the session has ended"},
		{"not active", "inactive", 401, "the user is not active"},
		{"another scheme", "unsupported", 401, `error="invalid_request"`},
		{"an error nobody thought of", "odd", 401, "the credentials are not valid"},
		{"starting", "starting", 503, ""},
		{"too many logins", "busy", 429, ""},
		{"users cannot be read", "away", 503, ""},
		{"a token that cannot be checked now", "throttled", 429, ""},
		{"the client went away", "canceled", 499, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Authorization", test.header)
			if test.code == 200 {
				if w.Code != 200 || w.Body.String() != "a" {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
				return
			}
			wantStatus(t, w, test.code)
			if got := w.Header().Get("WWW-Authenticate"); !strings.Contains(got, test.challenge) || (got == "") != (test.code != 401) {
				t.Errorf("challenge %q", got)
			}
			if retry := w.Header().Get("Retry-After"); (retry != "") != (test.code == 503 || test.code == 429) {
				t.Errorf("Retry-After %q", retry)
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("it tells %s", w.Body)
			}
		})
	}
	// Which of two an intermediary looks at, nobody knows.
	t.Run("two Authorization headers", func(t *testing.T) {
		wantStatus(t, ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Authorization", "admin", "Authorization", "other"), 400)
	})
}

func TestAuthorization(t *testing.T) {
	var asked authorizer.Attributes
	s := newServer(t, func(o *Options) {
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) {
			asked = a
			if a.GetUser() != nil && a.GetUser().GetName() == "unlucky" {
				return true, status.Unavailable(1, "roles cannot be read")
			}
			return a.GetUser() != nil && a.GetUser().GetName() == "admin", nil
		})
	}, map[string]route.Handler{"a": text("a")})
	t.Run("permitted", func(t *testing.T) {
		if w := ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Authorization", "admin"); w.Code != 200 {
			t.Errorf("got %d", w.Code)
		}
		if asked.GetVerb() != "list" || asked.GetAPIGroup() != "test.io" || asked.GetResource() != "a" || !asked.IsResourceRequest() {
			t.Errorf("asked for %+v", asked)
		}
	})
	t.Run("forbidden", func(t *testing.T) {
		got := wantStatus(t, ask(s, http.MethodGet, "/kapis/test.io/v1/namespaces/n/a/x", "Authorization", "guest"), 403)
		if want := `User "guest" cannot get resource "a" in API group "test.io" in the namespace "n"`; !strings.Contains(got.Message, want) {
			t.Errorf("it says %s", got.Message)
		}
	})
	t.Run("a path that is forbidden, there or not", func(t *testing.T) {
		got := wantStatus(t, ask(s, http.MethodPost, "/nowhere", "Authorization", "guest"), 403)
		if !strings.Contains(got.Message, `cannot post path "/nowhere"`) {
			t.Errorf("it says %s", got.Message)
		}
	})
	t.Run("anonymous is asked to log in", func(t *testing.T) {
		w := ask(s, http.MethodGet, "/kapis/test.io/v1/a")
		wantStatus(t, w, 401)
		if w.Header().Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("challenge %q", w.Header().Get("WWW-Authenticate"))
		}
	})
	t.Run("an error is no permission", func(t *testing.T) {
		wantStatus(t, ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Authorization", "unlucky"), 503)
	})
	t.Run("a path with two meanings", func(t *testing.T) {
		for _, path := range []string{"/kapis/test.io/v1/../a", "/kapis//a", "/kapis/test.io/v1/a%2fb", "/kapis/test.io/v1/%2e%2e/a"} {
			wantStatus(t, ask(s, http.MethodGet, path, "Authorization", "admin"), 400)
		}
	})
	t.Run("not found and not allowed", func(t *testing.T) {
		wantStatus(t, ask(s, http.MethodGet, "/nowhere", "Authorization", "admin"), 404)
		w := ask(s, http.MethodDelete, "/kapis/test.io/v1/a", "Authorization", "admin")
		wantStatus(t, w, 405)
		if allow := w.Header().Get("Allow"); allow != "GET, HEAD, POST" {
			t.Errorf("Allow %q", allow)
		}
	})
}

func TestAuditID(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": text("a")})
	for _, test := range []struct {
		name, given string
		kept        bool
	}{
		{"a UUID", "3f0c1d2e-8a4b-4c6d-9e0f-000000000001", true},
		{"64 characters", strings.Repeat("a", 64), true},
		{"65 characters", strings.Repeat("a", 65), false},
		{"none", "", false},
		{"a line break", "a\r\nSet-Cookie: b=c", false},
		{"markup", "<script>", false},
		{"a quote", `a" admin="true`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ask(s, http.MethodGet, "/kapis/test.io/v1/a", "Audit-Id", test.given).Header().Get("Audit-Id")
			if kept := got == test.given; kept != test.kept || got == "" {
				t.Errorf("got %q", got)
			}
		})
	}
	if one, two := ask(s, "GET", "/livez").Header().Get("Audit-Id"), ask(s, "GET", "/livez").Header().Get("Audit-Id"); one == two {
		t.Errorf("two requests have the ID %s", one)
	}
	if ask(s, "GET", "/a//b").Header().Get("Audit-Id") == "" {
		t.Error("a request that is refused has no ID")
	}
}

func TestBodies(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(w, len(body))
		return err
	}})
	for _, test := range []struct {
		name    string
		size    int
		chunked bool
		code    int
	}{
		{"at the limit", 16, false, 200},
		{"announced over the limit", 17, false, 413},
		{"found over the limit", 17, true, 413},
		{"at the limit, in chunks", 16, true, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/kapis/test.io/v1/a", strings.NewReader(strings.Repeat("x", test.size)))
			if test.chunked {
				r.ContentLength = -1
			}
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if test.code != 200 {
				wantStatus(t, w, test.code)
			} else if w.Code != 200 || w.Body.String() != "16" {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		})
	}
}
