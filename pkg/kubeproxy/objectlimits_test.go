package kubeproxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
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

func (*fullOwners) CheckRights(context.Context, user.Info, *unstructured.Unstructured, *unstructured.Unstructured) error {
	return nil
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
// reserved and no turn taken. Four such writes kept a user from writing roles until the
// server was started again, and sixteen everybody.
func TestReleaseAborted(t *testing.T) {
	writing := make(chan struct{})
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || strings.Contains(r.URL.RawQuery, "dryRun") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r","namespace":"a","resourceVersion":"1"}}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		writing <- struct{}{}
		<-r.Context().Done()
	})
	reserved := &limitRecorder{}
	f.proxy.options.Limits = reserved
	for _, method := range []string{http.MethodPost, http.MethodPut} {
		ctx, cancel := context.WithCancel(t.Context())
		path := rolePath
		if method == http.MethodPost {
			path = path[:strings.LastIndex(path, "/")]
		}
		r, err := http.NewRequestWithContext(ctx, method, f.URL+path, strings.NewReader(`{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r"}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		gone := make(chan struct{})
		go func() {
			if response, err := http.DefaultClient.Do(r); err == nil {
				_ = response.Body.Close()
			}
			close(gone)
		}()
		<-writing
		cancel()
		<-gone
		wait.For(t, method+" to give back what it had", func() error {
			if users, held := f.proxy.inspections.Users(), reserved.held.Load(); users != 0 || held != 0 {
				return fmt.Errorf("%d users have turns, %d objects are reserved", users, held)
			}
			return nil
		})
	}
	if reserved.all.Load() == 0 {
		t.Error("nothing was reserved")
	}
}

// limitRecorder records reservations.
type limitRecorder struct{ held, all atomic.Int64 }

func (*limitRecorder) CheckRights(context.Context, user.Info, *unstructured.Unstructured, *unstructured.Unstructured) error {
	return nil
}

func (c *limitRecorder) Reserve(_ context.Context, _ user.Info, _ *tenant.Limit, _ string, further int) (release func(), err error) {
	c.held.Add(int64(further))
	c.all.Add(1)
	return func() { c.held.Add(-int64(further)) }, nil
}
