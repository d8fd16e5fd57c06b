package secondlock

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

const (
	byRoles  = `{"kind":"Status","message":"pods is forbidden: User \"jane\" cannot create resource \"pods\""}`
	byPolicy = `{"kind":"Status","message":"pods \"a\" is forbidden: ValidatingAdmissionPolicy 'a' denied request: forbidden: User \"jane\" cannot create"}`
	notUs    = `{"kind":"Status","message":"users \"jane\" is forbidden: User \"ks\" cannot impersonate resource \"users\""}`
	// behind is what another Kubernetes answers, which is a service of a project.
	behind = `{"kind":"Status","reason":"Forbidden","message":"pods is forbidden: User \"system:anonymous\" cannot create resource \"pods\""}`
)

// TestReadRefusal: who refuses is told by the words of an authorizer about this user, in
// every form, and not by what sounds like them.
func TestReadRefusal(t *testing.T) {
	for _, test := range []struct {
		name, who, text string // nobody for a request of this server's own
		want            Refusal
	}{
		{"of this server's own request", "", `{"message":"namespaces is forbidden: User \"system:serviceaccount:kubesphere-system:ks-apiserver\" cannot list resource \"namespaces\""}`, Refusal{OfServer: true, Verb: "list"}},
		{"a quota, of this server's own request", "", `{"message":"pods \"x\" is forbidden: exceeded quota"}`, Refusal{}},
		{"by roles", "jane", byRoles, Refusal{ByRoles: true, Verb: "create"}},
		{"of what is no resource", "jane", `{"message":"forbidden: User \"jane\" cannot get path \"/metrics\""}`, Refusal{ByRoles: true, Verb: "get"}},
		{"in protobuf", "jane", "k8s\x00\x0a\x0c\x0a\x02v1\x12\x06Status\x12\x30pods is forbidden: User \"jane\" cannot list resource \"pods\"", Refusal{ByRoles: true, Verb: "list"}},
		{"in YAML", "jane", "kind: Status\nmessage: 'pods is forbidden: User \"jane\" cannot list resource \"pods\"'\n", Refusal{ByRoles: true, Verb: "list"}},
		{"a name with quotes", `a" cannot b`, `{"message":"pods is forbidden: User \"a\\\" cannot b\" cannot list resource"}`, Refusal{ByRoles: true, Verb: "list"}},
		{"of this server", "jane", notUs, Refusal{OfServer: true}},
		{"of this server, by a constrained right", "jane", `{"message":"users \"jane\" is forbidden: User \"ks\" cannot impersonate-on:user-info:list resource"}`, Refusal{OfServer: true}},
		{"a policy", "jane", byPolicy, Refusal{}},
		{"a webhook", "jane", `{"message":"admission webhook \"a\" denied the request: forbidden: User \"jane\" cannot create"}`, Refusal{}},
		{"another Kubernetes behind a service", "jane", behind, Refusal{}},
		{"a quota", "jane", `{"message":"pods \"x\" is forbidden: exceeded quota"}`, Refusal{}},
		{"no text", "jane", "", Refusal{}},
	} {
		answer := &http.Response{Body: io.NopCloser(strings.NewReader(test.text))}
		var who user.Info
		if test.who != "" {
			who = &user.DefaultInfo{Name: test.who}
		}
		got, err := ReadRefusal(answer, who)
		if err != nil || got.ByRoles != test.want.ByRoles || got.OfServer != test.want.OfServer || got.Verb != test.want.Verb {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
		if left, err := io.ReadAll(answer.Body); err != nil || string(left) != test.text {
			t.Errorf("%s: of the body %q is left, %v", test.name, left, err)
		}
	}
}

// refusals is a kube-apiserver that refuses some requests before it permits them, and knows
// some reviews later that it permits them.
type refusals struct {
	answer  string
	left    int
	reviews int
	sent    int
}

func (k *refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	k.sent++
	code, answer := http.StatusOK, "ok"
	if k.left > 0 {
		k.left--
		code, answer = http.StatusForbidden, k.answer
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

func (k *refusals) review(context.Context, authorizationv1.ResourceAttributes) (bool, error) {
	k.reviews--
	if k.reviews >= 0 {
		return false, nil
	}
	k.left = 0
	return true, nil
}

// TestRefusals: while the rights of a user are young, what changes nothing is tried again
// when Kubernetes' roles refuse it, and what changes something is sent once, after
// Kubernetes knows the rights: what answered like that got the same POST six times. A
// refusal by a kube-apiserver that starts is not told to anybody.
func TestRefusals(t *testing.T) {
	const never, several = 1 << 20, -1
	old, young := time.Now().Add(-time.Hour), time.Now()
	for _, test := range []struct {
		name       string
		method     string
		changed    time.Time
		answer     string
		refused    int // so many times
		reviews    int // so many say no
		own        bool
		starting   bool
		code       int
		sent       int
		disagrees  uint64
		fromClient string
	}{
		{name: "permitted", method: "POST", changed: old, code: 200, sent: 1, fromClient: "ok"},
		{name: "a read with young rights", method: "GET", changed: young, answer: byRoles, refused: 3, code: 200, sent: 4, fromClient: "ok"},
		{name: "a read with young rights, never", method: "GET", changed: young, answer: byRoles, refused: never, reviews: never, code: 403, sent: several, disagrees: 1, fromClient: byRoles},
		{name: "a write with young rights", method: "POST", changed: young, answer: byRoles, refused: never, reviews: 3, code: 200, sent: 1, fromClient: "ok"},
		{name: "a write with young rights, never", method: "POST", changed: young, answer: byRoles, refused: never, reviews: never, code: 403, sent: 1, disagrees: 1, fromClient: byRoles},
		{name: "a write refused by what is behind", method: "POST", changed: young, answer: behind, refused: never, code: 403, sent: 1, fromClient: behind},
		{name: "a read refused by what is behind", method: "GET", changed: young, answer: behind, refused: never, code: 403, sent: 1, fromClient: behind},
		{name: "old rights, a moment too early", method: "POST", changed: old, answer: byRoles, refused: 1, code: 503, sent: 1, fromClient: "Kubernetes is starting"},
		{name: "old rights", method: "POST", changed: old, answer: byRoles, refused: never, reviews: never, code: 403, sent: 1, disagrees: 1, fromClient: byRoles},
		{name: "refused by a policy", method: "POST", changed: young, answer: byPolicy, refused: never, code: 403, sent: 1, fromClient: byPolicy},
		{name: "this server is refused", method: "GET", changed: young, answer: notUs, refused: never, code: 403, sent: 1, fromClient: notUs},
		{name: "made by this server", method: "GET", changed: young, answer: byRoles, refused: never, own: true, code: 403, sent: 1, fromClient: byRoles},
		{name: "Kubernetes starts", method: "POST", changed: old, answer: byRoles, refused: never, reviews: never, starting: true, code: 503, sent: 1, fromClient: "Kubernetes is starting"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lock, backend := newLock(test.changed), &refusals{answer: test.answer, left: test.refused, reviews: test.reviews}
			lock.Starting = func(context.Context) bool { return test.starting }
			lock.Review = func(ctx context.Context, action authorizationv1.ResourceAttributes) (bool, error) {
				if want := map[string]string{"POST": "create", "GET": "list"}[test.method]; action.Resource != "pods" || action.Namespace != "a-project" || action.Verb != want && action.Verb != "create" {
					t.Errorf("a review of %+v", action)
				}
				if test.answer == behind || test.answer == byPolicy { // which goes on refusing
					return true, nil
				}
				return backend.review(ctx, action)
			}
			ctx := kube.WithIdentity(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"}), kube.Identity{Groups: inA, Own: test.own})
			var content io.Reader
			if test.method == "POST" {
				content = strings.NewReader("a")
			}
			answer, err := lock.Handling(backend).RoundTrip(httptest.NewRequestWithContext(ctx, test.method, "/api/v1/namespaces/a-project/pods", content))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			text, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != test.code || !strings.Contains(string(text), test.fromClient) {
				t.Errorf("got %d %s %v", answer.StatusCode, text, err)
			}
			if test.code == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "" {
				t.Error("it is not said when to try again")
			}
			if backend.sent != test.sent && (test.sent != several || backend.sent < 4) {
				t.Errorf("sent %d times", backend.sent)
			}
			if lock.Disagreements() != test.disagrees {
				t.Errorf("%d disagreements", lock.Disagreements())
			}
		})
	}
}

// TestAgrees: Kubernetes is asked until it knows young rights, and what it has permitted
// stays permitted while it does not answer.
func TestAgrees(t *testing.T) {
	now := time.Now()
	for _, test := range []struct {
		name    string
		changed time.Time
		answers []string // of reviews; the last one goes on
		want    []bool   // a minute apart
	}{
		{"permitted", now.Add(-time.Hour), []string{"yes"}, []bool{true}},
		{"refused", now.Add(-time.Hour), []string{"no"}, []bool{false}},
		{"young rights", now, []string{"no", "no", "yes"}, []bool{true}},
		{"it does not answer", now.Add(-time.Hour), []string{"yes", "error"}, []bool{true, true}},
		{"it has never answered", now.Add(-time.Hour), []string{"error"}, []bool{false}},
		{"taken away", now.Add(-time.Hour), []string{"yes", "no", "error"}, []bool{true, false, false}},
	} {
		t.Run(test.name, func(t *testing.T) {
			lock, clock, asked := newLock(test.changed), now, 0
			lock.Now = func() time.Time { return clock }
			lock.Review = func(context.Context, authorizationv1.ResourceAttributes) (bool, error) {
				answer := test.answers[min(asked, len(test.answers)-1)]
				asked++
				if answer == "error" {
					return false, errors.New("no answer")
				}
				return answer == "yes", nil
			}
			for n, want := range test.want {
				action := authorizationv1.ResourceAttributes{Verb: "get", Resource: "secrets", Namespace: "a-project"}
				if got := lock.Agrees(t.Context(), &user.DefaultInfo{Name: "jane"}, action); got != want {
					t.Errorf("%d: %t", n, got)
				}
				clock = clock.Add(time.Minute)
			}
		})
	}
}

// TestPrefix: the address of Kubernetes may have a path.
func TestPrefix(t *testing.T) {
	lock := newLock(time.Time{})
	lock.Prefix = "/k8s/clusters/a"
	const secret = "/api/v1/namespaces/a-project/secrets/a"
	for _, path := range []string{secret, lock.Prefix + secret, lock.Prefix + "/api/v1/namespaces/a-project/pods/a/exec"} {
		identity, err := lock.Handled(httptest.NewRequest("GET", path, nil), &user.DefaultInfo{Name: "jane"})
		check(t, path, identity, err, inA)
	}
}
