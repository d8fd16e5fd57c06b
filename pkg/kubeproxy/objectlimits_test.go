package kubeproxy

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// fullOwners have no room for further objects; pending is what is being created.
type fullOwners struct {
	full    string
	pending int
	asked   []string
}

func (f *fullOwners) Reserve(_ context.Context, _ user.Info, limit *tenant.Limit, owner string, further int) (func(), error) {
	f.asked = append(f.asked, owner)
	if limit == nil || owner == f.full {
		return nil, status.Forbidden(tenant.Gateways, "", "exceeded quota")
	}
	f.pending += further
	return func() { f.pending -= further }, nil
}

// TestReserve: new objects count for their owner, whichever write creates them.
func TestReserve(t *testing.T) {
	const (
		policies = "/apis/network.kubesphere.io/v1alpha1/namespaces/p1/namespacenetworkpolicies"
		policy   = `{"metadata":{"namespace":"p1","name":"a"}}`
		quotas   = "/apis/quota.kubesphere.io/v1alpha2/resourcequotas"
		quota    = `{"metadata":{"name":"q"},"spec":{"selector":{"kubesphere.io/workspace":"p1"}}}`
	)
	for _, test := range []struct {
		target, object string
		limited        bool
	}{
		{"POST " + policies, policy, true},
		{"PATCH " + policies + "/a", policy, true}, // by server-side apply
		{"POST " + quotas, quota, true},
		{"PATCH " + quotas + "/q", quota, true},
		{"PUT " + policies + "/a", policy, false},
		{"PATCH " + policies + "/a/status", policy, false},
	} {
		method, path, _ := strings.Cut(test.target, " ")
		info := parsed(t, method, path)
		if createsLimited(info) != test.limited || test.limited && !guards(info) {
			t.Errorf("%s: creates %v, checked %v", test.target, createsLimited(info), guards(info))
		}
		if !test.limited {
			continue
		}
		limits := &fullOwners{}
		p := &Proxy{options: Options{Limits: limits}}
		release, err := p.reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.object))
		if err != nil || limits.pending != 1 || limits.asked[0] != "p1" {
			t.Fatalf("%s: %v, %+v", test.target, err, limits)
		}
		if release(); limits.pending != 0 {
			t.Errorf("%s: %d are still being created", test.target, limits.pending)
		}
		limits.full = "p1"
		if _, err := p.reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.object)); err == nil || status.Of(err).Code != http.StatusForbidden {
			t.Errorf("%s, without room: %v", test.target, err)
		}
		if release, err := (&Proxy{}).reserve(t.Context(), &user.DefaultInfo{Name: "jane"}, info, decoded(t, test.object)); err != nil || release == nil {
			t.Errorf("%s, without limits: %v", test.target, err)
		}
	}
}

// TestReleaseAborted: a client that goes while its write is forwarded leaves nothing
// reserved.
func TestReleaseAborted(t *testing.T) {
	released := false
	defer func() {
		if recover() == nil || !released {
			t.Errorf("released: %v", released)
		}
	}()
	p := &Proxy{} // without a proxy behind it, forwarding panics
	p.forwardChecked(httptest.NewRecorder(), &guardedWrite{request: httptest.NewRequestWithContext(t.Context(), "POST", "/", nil), release: func() { released = true }}, nil)
}
