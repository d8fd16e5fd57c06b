package secondlock

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// roles are the rights of two users: the administrator, and jane, who has a global role and
// a role in workspace a.
type roles struct{ changed time.Time }

func (roles) RoleGroups(_ context.Context, who user.Info, scope authz.Scope, uid func(string) string) ([]string, error) {
	if who.GetName() == "admin" {
		return []string{authz.AdministratorsGroup}, nil
	}
	groups := []string{authz.GlobalGroup("platform-regular")}
	if scope.Namespace == "a-project" {
		groups = append(groups, authz.WorkspaceGroup("a", uid("a"), "a-viewer"))
	}
	return groups, nil
}

func (roles) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" || who.GetName() == "cluster-admin" {
		return nil, nil
	}
	return rules, nil
}

func (r roles) ChangedAt(context.Context, user.Info) (time.Time, error) { return r.changed, nil }

func newLock(changed time.Time) *Lock {
	return New(Options{
		Rights: roles{changed}, Now: time.Now, UID: func(_ context.Context, workspace string) string { return "uid-of-" + workspace },
		Starting: func(context.Context) bool { return false },
	})
}

var (
	regular = []string{"kubesphere:global:platform-regular"}
	inA     = append(slices.Clone(regular), "kubesphere:workspace:a:uid-of-a:a-viewer")
	admins  = []string{"kubesphere:administrators"}
)

// TestIdentities: a request carries the groups of its own scope only; this server makes
// those that Kubernetes' roles cannot express, and for administrators none.
func TestIdentities(t *testing.T) {
	const (
		project = "/api/v1/namespaces/a-project"
		rbac    = "/apis/rbac.authorization.k8s.io/v1"
		iam     = "/apis/iam.kubesphere.io/v1alpha2"
	)
	lock := newLock(time.Time{})
	for _, test := range []struct {
		name, who, method, path string
		forwarded, handled      []string // nil for this server
	}{
		{"an object of a project", "jane", "GET", project + "/pods/a", inA, nil},
		{"a list of another", "jane", "GET", "/api/v1/namespaces/b-project/pods", regular, nil},
		{"a list of all", "jane", "GET", "/api/v1/pods", regular, nil},
		{"a secret", "jane", "GET", project + "/secrets/a", inA, inA},
		{"all secrets", "jane", "GET", "/api/v1/secrets", regular, regular},
		{"a secret, watched", "jane", "GET", project + "/secrets?watch=true", inA, inA},
		{"a write in a project", "jane", "POST", project + "/pods", inA, inA},
		{"a shell", "jane", "GET", project + "/pods/a/exec", inA, inA},
		{"a shell by POST", "jane", "POST", project + "/pods/a/exec", inA, inA},
		{"a service", "jane", "GET", project + "/services/a/proxy/", inA, inA},
		{"a pod of the platform", "jane", "POST", "/api/v1/namespaces/kubesphere-system/pods", regular, regular},
		{"a node", "jane", "PATCH", "/api/v1/nodes/a", regular, regular},
		{"a namespace", "jane", "PATCH", project, inA, nil},
		{"the end of a namespace", "jane", "PUT", project + "/finalize", inA, nil},
		{"a namespace is read", "jane", "GET", project, inA, nil},
		{"a namespace is made", "jane", "POST", "/api/v1/namespaces", nil, nil},
		{"a user", "jane", "PUT", iam + "/users/a", nil, nil},
		{"users", "jane", "GET", iam + "/users", regular, nil},
		{"a role of a project", "jane", "POST", rbac + "/namespaces/a-project/roles", inA, nil},
		{"a role of the cluster", "jane", "POST", rbac + "/clusterroles", regular, nil},
		{"a part of a quota", "jane", "PUT", project + "/resourcequotas/a", inA, nil},
		{"what is no resource", "jane", "GET", "/metrics", regular, nil},
		{"an administrator's pod", "admin", "POST", project + "/pods", admins, admins},
		{"an administrator's namespace", "admin", "POST", "/api/v1/namespaces", admins, nil},
		{"an administrator's role of the cluster", "admin", "POST", rbac + "/clusterroles", admins, admins},
		{"a role of one with everything in the cluster", "cluster-admin", "POST", rbac + "/clusterroles", regular, regular},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		info, err := request.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		who := &user.DefaultInfo{Name: test.who}
		forwarded, err := lock.Forwarded(r.Context(), info, who)
		check(t, test.name+", forwarded", forwarded, err, test.forwarded)
		handled, err := lock.Handled(r, who)
		check(t, test.name+", by a handler", handled, err, test.handled)
	}
}

func check(t *testing.T, name string, got kube.Identity, err error, want []string) {
	t.Helper()
	if err != nil || got.Own != (want == nil) || want != nil && !slices.Equal(got.Groups, want) {
		t.Errorf("%s: got %+v, %v; want %q", name, got, err, want)
	}
}

const (
	byRoles  = `{"kind":"Status","message":"pods is forbidden: User \"jane\" cannot create resource \"pods\""}`
	byPolicy = `{"kind":"Status","message":"ValidatingAdmissionPolicy 'a' denied request: user \"jane\" cannot create"}`
	notUs    = `{"kind":"Status","message":"users \"jane\" is forbidden: User \"ks\" cannot impersonate resource \"users\""}`
)

// refusals is a kube-apiserver that refuses some requests before it permits them.
type refusals struct {
	answer string
	left   int
	bodies []string
}

func (k *refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		content, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = string(content)
	}
	k.bodies = append(k.bodies, body)
	code, answer := http.StatusOK, "ok"
	if k.left > 0 {
		k.left--
		code, answer = http.StatusForbidden, k.answer
	}
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// TestRefusals: a refusal by Kubernetes' roles is tried again while the rights of the user
// are young, of admission and of this server it is not, and one by a kube-apiserver that
// starts is not told to anybody.
func TestRefusals(t *testing.T) {
	const never = 1 << 20
	old, young := time.Now().Add(-time.Hour), time.Now()
	large := strings.Repeat("x", maxReplayed+1)
	for _, test := range []struct {
		name       string
		changed    time.Time
		answer     string
		times      int
		body       string
		own        bool
		starting   bool
		code       int
		tries      int // 0 for any
		disagrees  uint64
		fromClient string
	}{
		{name: "permitted", changed: old, body: "a", code: 200, tries: 1, fromClient: "ok"},
		{name: "young rights", changed: young, answer: byRoles, times: 3, body: "a", code: 200, tries: 4, fromClient: "ok"},
		{name: "young rights, never", changed: young, answer: byRoles, times: never, body: "a", code: 403, disagrees: 1, fromClient: byRoles},
		{name: "old rights, once", changed: old, answer: byRoles, times: 1, body: "a", code: 200, tries: 2, fromClient: "ok"},
		{name: "old rights", changed: old, answer: byRoles, times: never, body: "a", code: 403, tries: 2, disagrees: 1, fromClient: byRoles},
		{name: "a large body is sent once", changed: young, answer: byRoles, times: 1, body: large, code: 403, tries: 1, disagrees: 1, fromClient: byRoles},
		{name: "refused by a policy", changed: young, answer: byPolicy, times: never, body: "a", code: 403, tries: 1, fromClient: byPolicy},
		{name: "this server is refused", changed: young, answer: notUs, times: never, code: 403, tries: 1, fromClient: notUs},
		{name: "made by this server", changed: young, answer: byRoles, times: never, own: true, code: 403, tries: 1, fromClient: byRoles},
		{name: "Kubernetes starts", changed: old, answer: byRoles, times: never, body: "a", starting: true, code: 503, tries: 1, fromClient: "Kubernetes is starting"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			lock, backend := newLock(test.changed), &refusals{answer: test.answer, left: test.times}
			lock.Starting = func(context.Context) bool { return test.starting }
			ctx := kube.WithIdentity(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"}), kube.Identity{Groups: inA, Own: test.own})
			r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/namespaces/a-project/pods", strings.NewReader(test.body))
			answer, err := lock.Handling(backend).RoundTrip(r)
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
			if test.tries != 0 && len(backend.bodies) != test.tries || test.tries == 0 && len(backend.bodies) < 4 {
				t.Errorf("sent %d times", len(backend.bodies))
			}
			for _, body := range backend.bodies {
				if body != test.body {
					t.Errorf("a body of %d bytes is sent, want %d", len(body), len(test.body))
				}
			}
			if lock.Disagreements() != test.disagrees {
				t.Errorf("%d disagreements", lock.Disagreements())
			}
		})
	}
}
