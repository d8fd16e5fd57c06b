package secondlock

import (
	"context"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
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

// newLock returns a lock of a kube-apiserver that permits everything it is asked about.
func newLock(changed time.Time) *Lock {
	return New(Options{
		Rights: roles{changed}, Now: time.Now, UID: func(_ context.Context, workspace string) string { return "uid-of-" + workspace },
		Starting: func(context.Context) bool { return false },
		Review:   func(context.Context, authorizationv1.ResourceAttributes) (bool, error) { return true, nil },
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
