package kubeproxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
)

// Redirections stay here, and are not followed.
func TestRedirections(t *testing.T) {
	var asked atomic.Int64
	var location string
	var f *front
	f = newFront(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", strings.ReplaceAll(location, "KUBERNETES", f.backend.URL))
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	for from, want := range map[string]string{
		"/api/v1/x/": "/api/v1/x/", "x/y?a=b": "x/y?a=b", "KUBERNETES/api/v1/pods?a=b": "/api/v1/pods?a=b",
		"https://elsewhere.example.com/x": "", "//elsewhere.example.com/x": "", "KUBERNETES.example.com/x": "", "javascript:alert(1)": "", "KUBERNETES//elsewhere.example.com": "", "////elsewhere.example.com": "",
		"https://169.254.169.254/latest": "", `/\elsewhere.example.com`: `/%5Celsewhere.example.com`,
	} {
		location = from
		before := asked.Load()
		response, err := http.DefaultTransport.RoundTrip(httptest.NewRequest(http.MethodGet, f.URL+"/api/v1/namespaces/a/services/b/proxy/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		switch {
		case want == "" && (response.StatusCode != http.StatusBadGateway || response.Header.Get("Location") != ""):
			t.Errorf("%s: %d %s", from, response.StatusCode, response.Header.Get("Location"))
		case want != "" && (response.StatusCode != http.StatusTemporaryRedirect || response.Header.Get("Location") != want):
			t.Errorf("%s: %d %s, want %s", from, response.StatusCode, response.Header.Get("Location"), want)
		}
		if asked.Load() != before+1 {
			t.Errorf("%s was followed", from)
		}
	}
}

const failure = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`

// A refusal of this server is not passed on as if it were the client's.
func TestRefusals(t *testing.T) {
	const admitted, group = `{"kind":"SelfSubjectAccessReview","status":{"allowed":true}}`, `{"kind":"SelfSubjectAccessReview","status":{"allowed":false}}`
	unauthorized := fmt.Sprintf(failure, "Unauthorized", "Unauthorized", 401)
	forbidden := func(message string) string { return fmt.Sprintf(failure, message, "Forbidden", 403) }
	for _, test := range []struct {
		name, path string
		code       int
		answer     string
		review     int
		standing   string
		want       int
		ready      bool
	}{
		{"our token has expired", "/api/v1/pods", 401, unauthorized, 401, unauthorized, 503, false},
		{"a 401 that is over", "/api/v1/pods", 401, unauthorized, 201, admitted, 503, true},
		{"we may not impersonate", "/api/v1/pods", 403, forbidden(`users "jane" is forbidden: User "system:serviceaccount:a:b" cannot impersonate resource "users"`), 403, forbidden("no"), 503, false},
		{"our group has no rights", "/api/v1/pods", 403, forbidden(`pods is forbidden: User "jane" cannot list resource "pods" in API group ""`), 201, group, 503, false},
		{"a further authorizer", "/api/v1/pods", 403, forbidden(`pods is forbidden: User "jane" cannot list resource "pods" in API group ""`), 201, admitted, 403, true},
		// Of those refused while it starts, one asked when it had started.
		{"one that is starting", "/api/v1/nodes", 403, forbidden(`nodes is forbidden: User "jane" cannot list resource "nodes" in API group ""`), 201, admitted, 503, true},
		{"our group has no rights, in protobuf", "/api/v1/pods", 403, "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Status\x12\x30pods is forbidden: User \"jane\" cannot list resource \"pods\"", 201, group, 503, false},
		{"admission", "/api/v1/namespaces/a/pods", 403, forbidden(`pods "x" is forbidden: exceeded quota: limits`), 201, group, 403, true},
		{"a pod's 401", "/api/v1/namespaces/a/pods/b/proxy/x", 401, "log in first", 201, admitted, 401, true},
		{"a pod's 403", "/api/v1/namespaces/a/pods/b/proxy/x", 403, "no", 201, admitted, 403, true},
		{"our 401 on the way to a pod", "/api/v1/namespaces/a/pods/b/proxy/x", 401, unauthorized, 401, unauthorized, 503, false},
		{"a log of our 401", "/api/v1/namespaces/a/pods/b/log", 401, unauthorized, 401, unauthorized, 503, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var lost atomic.Bool
			f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				switch {
				case !strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews"):
					w.WriteHeader(test.code)
					_, _ = io.WriteString(w, test.answer)
				case lost.Load() && r.Header.Get("Impersonate-User") == "jane":
					w.WriteHeader(http.StatusCreated)
					allowed := group
					if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), `"nodes"`) {
						allowed = admitted
					}
					_, _ = io.WriteString(w, allowed)
				case lost.Load():
					w.WriteHeader(test.review)
					_, _ = io.WriteString(w, test.standing)
				default:
					w.WriteHeader(http.StatusCreated)
					_, _ = io.WriteString(w, admitted)
				}
			})
			if err := f.proxy.Err(); !errors.Is(err, errNotAsked) {
				t.Errorf("before it was asked: %v", err)
			}
			if err := f.proxy.standing.confirm(t.Context(), time.Now()); err != nil || f.proxy.Err() != nil {
				t.Fatalf("in the beginning: %v, %v", err, f.proxy.Err())
			}
			lost.Store(true)
			response, err := http.Get(f.URL + test.path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			text, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.want || response.Header.Get("WWW-Authenticate") != "" {
				t.Errorf("got %d %s, want %d", response.StatusCode, text, test.want)
			}
			if test.want == test.code && string(text) != test.answer {
				t.Errorf("it was passed on as %s", text)
			}
			if test.want == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "" {
				t.Error("it does not say when to come back")
			}
			if err := f.proxy.Err(); (err == nil) != test.ready {
				t.Errorf("ready: %v", err)
			}
		})
	}
}

// TestOwnRefusal: a refusal of what this server asks by its own account for a user is not
// told as the user's.
func TestOwnRefusal(t *testing.T) {
	var lost atomic.Bool
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "selfsubjectaccessreviews") {
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, `{"kind":"SelfSubjectAccessReview","status":{"allowed":%t}}`, !lost.Load())
			return
		}
		w.WriteHeader(http.StatusForbidden)
		_, _ = fmt.Fprintf(w, failure, `namespaces is forbidden: User "system:serviceaccount:a:b" cannot list resource "namespaces" in API group "" at the cluster scope`, "Forbidden", 403)
	})
	many := sets.New("a")
	for n := range namedNamespaces {
		many.Insert(fmt.Sprint("n", n))
	}
	f.proxy.rights = visibleNamespaces{Rights: f.proxy.rights, names: many}
	if err := f.proxy.standing.confirm(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	lost.Store(true)
	response, err := http.Get(f.URL + "/api/v1/namespaces")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || f.proxy.Err() == nil {
		t.Errorf("%d %s, ready: %v", response.StatusCode, text, f.proxy.Err())
	}
}
