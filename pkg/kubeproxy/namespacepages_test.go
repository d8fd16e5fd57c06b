package kubeproxy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

type visibleNamespaces struct {
	Rights
	names sets.Set[string]
}

func (v visibleNamespaces) VisibleNamespaces(context.Context, user.Info, ...authz.Action) (authz.Visible, error) {
	return authz.Visible{Names: v.names}, nil
}

// TestListsOfNamespacesHaveNoPages: where the next page of all namespaces began said the
// name of one that was not shown, and a page of limit 1 after the other said all names.
func TestListsOfNamespacesHaveNoPages(t *testing.T) {
	many := sets.New("a-seen")
	for n := range namedNamespaces {
		many.Insert(fmt.Sprintf("of-many-%d", n))
	}
	for _, test := range []struct {
		name, method, query string
		seen                sets.Set[string]
		code                int
	}{
		{"who sees few", "GET", "", sets.New("a-seen"), 200},
		{"who sees few, a page", "GET", "?limit=1", sets.New("a-seen"), 200},
		{"who sees few, the next page", "GET", "?limit=1&continue=next", sets.New("a-seen"), 410},
		{"who sees many", "GET", "", many, 200},
		{"who sees many, a page", "GET", "?limit=1", many, 200},
		{"who sees many, the next page", "GET", "?limit=1&continue=next", many, 410},
		{"nothing after an empty continue", "GET", "?limit=1&continue=", many, 200},
		{"the length of all", "HEAD", "?limit=1", many, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubernetes := roundTrip(func(r *http.Request) (*http.Response, error) {
				next, items := "", `{"metadata":{"name":"a-hidden"}},{"metadata":{"name":"a-seen"}}`
				values := r.URL.Query()
				switch {
				case values.Get("fieldSelector") != "":
					items = `{"metadata":{"name":"a-seen"}}`
				case values.Has("limit"):
					next, items = "a-hidden", `{"metadata":{"name":"a-hidden"}}`
				}
				text := fmt.Sprintf(`{"kind":"NamespaceList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":%q},"items":[%s]}`, next, items)
				header := http.Header{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(len(text))}}
				if r.Method == http.MethodHead {
					text = ""
				}
				return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
			})
			p := &Proxy{
				target: &url.URL{Scheme: "http", Host: "k"}, rights: visibleNamespaces{names: test.seen},
				unreadLists: quota.New(1<<20, 1<<20), reads: turns.New(4, 4, readWait, tooManyReads), transport: kubernetes,
				filteredLists: turns.New(4, 4, filteredListWait, tooManyLists), mergedLists: turns.New(4, 4, filteredListWait, tooManyLists),
			}
			p.namespaces = p.reverse(kubernetes, &buffers{size: watchBuffer}, p.filter)
			r := httptest.NewRequest(test.method, "/api/v1/namespaces"+test.query, nil)
			info, err := request.Parse(r)
			if err != nil {
				t.Fatal(err)
			}
			r = r.WithContext(request.WithInfo(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"}), info))
			w := httptest.NewRecorder()
			p.listNamespaces(w, r, authz.Visible{Names: test.seen})
			text := w.Body.String()
			if w.Code != test.code || strings.Contains(text, "a-hidden") {
				t.Errorf("got %d %s", w.Code, text)
			}
			switch {
			case test.method == "HEAD":
				if length := w.Header().Get("Content-Length"); length != "" {
					t.Errorf("the length of all namespaces is %s", length)
				}
			case test.code == 200 && !strings.Contains(text, `"a-seen"`):
				t.Errorf("nothing is shown: %s", text)
			case test.code == 410 && !strings.Contains(text, `"Expired"`):
				t.Errorf("clients start anew by the reason, got %s", text)
			}
		})
	}
}
