package kubeproxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// blocked is a client that does not read until it may.
type blocked struct {
	*httptest.ResponseRecorder
	began chan struct{}
	reads chan struct{}
}

func (b *blocked) Write(text []byte) (int, error) {
	close(b.began)
	<-b.reads
	return b.ResponseRecorder.Write(text)
}

// TestUnreadLists: lists of namespaces that nobody reads were kept whole, a hundred of one
// user, 2 GB of namespaces with many labels.
func TestUnreadLists(t *testing.T) {
	text := fmt.Sprintf(`{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"a","labels":{"k":%q}}}]}`, strings.Repeat("x", 1000))
	jane, joe := &user.DefaultInfo{Name: "jane"}, &user.DefaultInfo{Name: "joe"}
	seen := authz.Visible{Names: sets.New("a")}
	newLists := func() *Proxy {
		return &Proxy{
			target: &url.URL{Scheme: "http", Host: "k"}, unreadLists: quota.New(1<<20, 1500),
			filteredLists: turns.New(4, 4, filteredListWait, tooManyLists), mergedLists: turns.New(4, 4, filteredListWait, tooManyLists),
			transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
			}),
		}
	}
	asked := func(who user.Info) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/namespaces", nil)
		info, err := request.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		return r.WithContext(request.WithInfo(turns.WithHolder(kube.WithCaller(r.Context(), who), who.GetName()), info))
	}
	t.Run("filtered", func(t *testing.T) {
		p := newLists()
		filtered := func(who user.Info) (read func(), err error) {
			answer := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: asked(who)}
			err = p.filterList(answer, seen)
			return func() { _ = answer.Body.Close() }, err
		}
		read, err := filtered(jane)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := filtered(jane); !apierrors.IsTooManyRequests(err) {
			t.Errorf("a second one that is not read: %v", err)
		}
		if _, err := filtered(joe); err != nil {
			t.Errorf("of another user: %v", err)
		}
		read()
		if _, err := filtered(jane); err != nil {
			t.Errorf("after the first was read: %v", err)
		}
	})
	t.Run("by name", func(t *testing.T) {
		p := newLists()
		slow := &blocked{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.listByName(slow, asked(jane), seen)
		}()
		<-slow.began
		for who, code := range map[*user.DefaultInfo]int{jane: http.StatusTooManyRequests, joe: http.StatusOK} {
			w := httptest.NewRecorder()
			if !p.listByName(w, asked(who), seen) || w.Code != code {
				t.Errorf("%s while a list of jane is not read: %d %s", who.Name, w.Code, w.Body)
			}
		}
		close(slow.reads)
		<-done
		if p.unreadLists.Held() != 0 {
			t.Errorf("%d bytes are held", p.unreadLists.Held())
		}
	})
}

// roundTrip is Kubernetes.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
