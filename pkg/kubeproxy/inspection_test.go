package kubeproxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
)

// TestReadsBody: the bodies that are read whole, so that the server bounds them.
func TestReadsBody(t *testing.T) {
	p := &Proxy{options: Options{Authorizer: withoutCreate{}}}
	const apply, merge = "application/apply-patch+yaml", "application/merge-patch+json"
	for target, want := range map[string]bool{
		"POST /apis/rbac.authorization.k8s.io/v1/namespaces/n/roles " + merge: true, "PATCH /api/v1/namespaces/n " + merge: true,
		"DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/r " + merge: false, "POST /api/v1/namespaces/n/pods " + merge: false,
		// What may create the object without the right to.
		"PUT /api/v1/namespaces/n/pods/p " + merge: true, "PATCH /api/v1/namespaces/n/pods/p " + apply: true, "PATCH /api/v1/namespaces/n/pods/p " + merge: false,
		// The options of a deletion.
		"DELETE /api/v1/namespaces/n/secrets/s application/json {}": true, "DELETE /api/v1/namespaces/n/services/s/proxy/x application/json {}": false,
	} {
		parts := strings.Fields(target)
		r := httptest.NewRequest(parts[0], parts[1], strings.NewReader(strings.Join(parts[3:], "")))
		r.Header.Set("Content-Type", parts[2])
		info := parsed(t, parts[0], parts[1])
		if p.ReadsBody(r, info) {
			t.Errorf("%s without a user is read", target)
		}
		r = r.WithContext(kuberequest.WithUser(t.Context(), &user.DefaultInfo{Name: "jane"}))
		if got := p.ReadsBody(r, info); got != want {
			t.Errorf("%s: %v", target, got)
		}
	}
}

// TestGuardedWritesAtOnce: writes and deletions that are inspected at the same time keep
// a bounded number of objects in memory, and all of them are made.
func TestGuardedWritesAtOnce(t *testing.T) {
	var present, most atomic.Int64
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			n := present.Add(1)
			defer present.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(5 * time.Millisecond)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind":"Role","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":"r","namespace":"a","resourceVersion":"1"}}`)
	})
	var running sync.WaitGroup
	for n := range 8 * maxInspectionsPerUser {
		running.Go(func() {
			method, body := http.MethodPut, `{"kind":"Role","metadata":{"name":"r"}}`
			if n%2 == 0 {
				method, body = http.MethodDelete, ""
			}
			r, err := http.NewRequest(method, f.URL+rolePath, strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s: %d", method, response.StatusCode)
			}
		})
	}
	running.Wait()
	if most.Load() == 0 || most.Load() > maxInspectionsPerUser {
		t.Errorf("%d at once", most.Load())
	}
	if f.proxy.inspections.Users() != 0 {
		t.Error("slots are held afterwards")
	}
}
