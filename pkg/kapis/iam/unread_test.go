package iam

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidwall/sjson"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// lists are the lists of this package whose objects are not shown as they are stored,
// and what they show of an object.
var lists = []struct {
	name, resource string
	answer         func(h *Handler, w http.ResponseWriter, r *http.Request, q *query.Query) error
	show           func(name, object string) string
}{
	{"users", "users", func(h *Handler, w http.ResponseWriter, r *http.Request, q *query.Query) error {
		return h.writeUsers(w, r, q, nil, "example.com/role", map[string]string{"n00": "admin", "n02": "viewer"})
	}, func(name, object string) string {
		if role := map[string]string{"n00": "admin", "n02": "viewer"}[name]; role != "" {
			object, _ = sjson.Set(object, `metadata.annotations.example\.com/role`, role)
		}
		return object
	}},
	{"users looked up", "users", func(h *Handler, w http.ResponseWriter, r *http.Request, q *query.Query) error {
		return h.writeUsers(w, r, q, lookupForm, "", nil)
	}, func(_, object string) string {
		for _, field := range []string{"metadata.annotations", "spec.groups", "status.lastLoginTime"} {
			object, _ = sjson.Delete(object, field)
		}
		return object
	}},
	{"sessions", "sessions", func(h *Handler, w http.ResponseWriter, r *http.Request, _ *query.Query) error {
		return h.listSessions(w, r)
	}, func(name, object string) string {
		if name == "n01" {
			object, _ = sjson.Set(object, `metadata.annotations.iam\.kubesphere\.io/current`, "true")
		}
		return object
	}},
	{"tokens", "personalaccesstokens", func(h *Handler, w http.ResponseWriter, r *http.Request, _ *query.Query) error {
		return h.listTokens(w, r)
	}, func(_, object string) string { return object }},
}

// listing is a handler of so many objects of each type, whose labels have a size, and a
// request of user jane.
func listing(t *testing.T, count, size int, parameters string) (*Handler, *http.Request, *query.Query) {
	t.Helper()
	all := make([]string, count)
	for n := range all {
		all[n] = fmt.Sprintf(`{"metadata":{"name":"n%02d","labels":{"a":%q},"annotations":{"b":"c"}},"spec":{"user":"jane","groups":["g"]}}`, n, strings.Repeat("x", size))
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"users": all, "sessions": all, "personalaccesstokens": all})
	types := objects.NewCatalog()
	h := &Handler{Directory: &iam.Directory{Cache: cache, Catalog: types}, Types: types}
	r := httptest.NewRequest(http.MethodGet, prefix+"?limit=-1&sortBy=name&ascending=true&"+parameters, nil)
	r.SetPathValue("user", "jane")
	r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "jane", Extra: map[string][]string{authn.ExtraSession: {"n01"}}}))
	read, err := request.ParametersOf(r)
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := query.Parse(read, types.Type("users").Filters)
	if err != nil {
		t.Fatal(err)
	}
	return h, r, &q
}

// TestLists: each object of a list is shown as the list has it.
func TestLists(t *testing.T) {
	for _, count := range []int{0, 1, 3} {
		for _, parameters := range []string{"", "pretty=true", "fields=metadata", "fields=metadata.name,spec.groups&pretty=true"} {
			h, r, q := listing(t, count, 10, parameters)
			for _, list := range lists {
				view, err := h.Directory.Cache.View(t.Context(), h.Types.Type(list.resource))
				if err != nil {
					t.Fatal(err)
				}
				var texts []string
				for n := range count {
					name := fmt.Sprintf("n%02d", n)
					texts = append(texts, q.Projection.Of(list.show(name, view.Get("", name).Shown(false))))
				}
				want := fmt.Sprintf(`{"items":[%s],"totalItems":%d}`, strings.Join(texts, ","), count)
				if q.Pretty {
					var indented bytes.Buffer
					_ = json.Indent(&indented, []byte(want), "", "  ")
					want = indented.String()
				}
				w := httptest.NewRecorder()
				if err := list.answer(h, w, r, q); err != nil || w.Body.String() != want+"\n" {
					t.Errorf("%d %s with %q: %v,\n%s\nwant\n%s", count, list.name, parameters, err, w.Body, want)
				}
				if w.Header().Get("Content-Length") != fmt.Sprint(len(want)+1) {
					t.Errorf("%d %s with %q: header %v", count, list.name, parameters, w.Header())
				}
			}
		}
	}
}

// TestUnreadLists: a list for a client that does not read is not in memory.
func TestUnreadLists(t *testing.T) {
	h, r, q := listing(t, 50, 1<<20, "fields=metadata")
	for _, list := range lists {
		if _, err := h.Directory.Cache.View(t.Context(), h.Types.Type(list.resource)); err != nil {
			t.Fatal(err)
		}
		if grown := objectstest.Unread(t, func(w http.ResponseWriter) error { return list.answer(h, w, r, q) }); grown > 20<<20 {
			t.Errorf("%s: %d bytes", list.name, grown)
		}
	}
}
