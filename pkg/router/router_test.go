package router

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/emicklei/go-restful/v3"
)

// declared are web services of operations written as "METHOD /path"; those whose path ends
// with "?" are of last resort.
func declared(operations ...string) *restful.WebService {
	service := new(restful.WebService).Path("/")
	for _, operation := range operations {
		method, path, _ := strings.Cut(operation, " ")
		path, last := strings.CutSuffix(path, "?")
		service.Route(service.Method(method).Path(path).Operation(operation).Metadata("last", last).To(func(*restful.Request, *restful.Response) {}))
	}
	return service
}

func isLast(r *restful.Route) bool { return r.Metadata["last"] == true }

func newRouter(t testing.TB, operations ...string) *Router {
	t.Helper()
	router := New(isLast)
	if err := router.Add(declared(operations...)); err != nil {
		t.Fatal(err)
	}
	return router
}

var operations = []string{
	"GET /v1/{kind}/{name}", "GET /v1/{kind}/summary", "GET /v1/parts/{name}", "DELETE /v1/{kind}/{name}", "POST /v1/parts",
	"GET /{group}/{version}/{kind}?", "POST /{group}/{version}/{kind}?", "GET /page/{file:*}", "GET /page", "GET /", "HEAD /v1/parts/own",
}

func TestSelect(t *testing.T) {
	router := newRouter(t, operations...)
	for _, test := range []struct {
		name, method, path string
		operation          string // "" for none
		parameters         string
		allow              string
	}{
		{"a parameter", "GET", "/v1/pods/a", "GET /v1/{kind}/{name}", "kind=pods name=a", ""},
		{"a literal after a parameter", "GET", "/v1/pods/summary", "GET /v1/{kind}/summary", "kind=pods", ""},
		{"the first literal wins", "GET", "/v1/parts/summary", "GET /v1/parts/{name}", "name=summary", ""},
		{"a literal that lacks the method", "DELETE", "/v1/parts/a", "DELETE /v1/{kind}/{name}", "kind=parts name=a", ""},
		{"a path of another method", "GET", "/v1/parts", "", "", "POST"},
		{"of last resort", "GET", "/apps/v1/pods", "GET /{group}/{version}/{kind}?", "group=apps version=v1 kind=pods", ""},
		{"HEAD as GET", "HEAD", "/v1/pods/a", "GET /v1/{kind}/{name}", "kind=pods name=a", ""},
		{"HEAD of its own", "HEAD", "/v1/parts/own", "HEAD /v1/parts/own", "", ""},
		{"all that follows", "GET", "/page/a/b.js", "GET /page/{file:*}", "file=a/b.js", ""},
		{"nothing that follows", "GET", "/page/", "GET /page/{file:*}", "file=", ""},
		{"the page itself", "GET", "/page", "GET /page", "", ""},
		{"the root", "GET", "/", "GET /", "", ""},
		{"an encoded segment", "GET", "/v1/po%64s/a%20b", "GET /v1/{kind}/{name}", "kind=pods name=a b", ""},
		{"an encoded literal", "GET", "/v1/pods/summar%79", "GET /v1/{kind}/summary", "kind=pods", ""},
		{"an empty parameter", "GET", "/v1/pods/", "", "", ""},
		{"too long", "GET", "/v1/pods/a/b", "", "", ""},
		{"nothing there", "GET", "/other", "", "", ""},
		{"another method", "PUT", "/v1/pods/a", "", "", "GET, HEAD, DELETE"},
		{"last resort has no methods to tell of", "PUT", "/apps/v1/pods", "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.path, nil)
			_, route, err := router.SelectRoute(nil, r)
			if test.operation == "" {
				refusal, is := err.(restful.ServiceError) //nolint:errorlint // what a container looks at
				want := http.StatusNotFound
				if test.allow != "" {
					want = http.StatusMethodNotAllowed
				}
				if !is || refusal.Code != want || refusal.Header.Get("Allow") != test.allow {
					t.Errorf("%v: %+v", route, err)
				}
				return
			}
			if err != nil || route.Operation != test.operation {
				t.Fatalf("%+v, %v", route, err)
			}
			parameters := router.ExtractParameters(route, nil, r.URL.Path)
			var got []string
			for segment := range strings.SplitSeq(route.Path, "/") {
				name := strings.TrimSuffix(strings.Trim(segment, "{}"), ":*")
				if value, found := parameters[name]; found && strings.HasPrefix(segment, "{") {
					got = append(got, name+"="+value)
				}
			}
			if strings.Join(got, " ") != test.parameters || len(got) != len(parameters) {
				t.Errorf("parameters %v, want %s", parameters, test.parameters)
			}
		})
	}
}

// TestMatchedOnce: what is in the context is not looked for again, nothing included.
func TestMatchedOnce(t *testing.T) {
	router := newRouter(t, operations...)
	r := httptest.NewRequest(http.MethodGet, "/v1/pods/a", nil)
	other := router.Find(http.MethodGet, &url.URL{Path: "/page"})
	if _, route, err := router.SelectRoute(nil, r.WithContext(WithMatch(r.Context(), other))); err != nil || route.Operation != "GET /page" {
		t.Errorf("%v, %v", route, err)
	}
	if _, _, err := router.SelectRoute(nil, r.WithContext(WithMatch(r.Context(), nil))); err == nil {
		t.Error("looked for again")
	}
}

func TestAddRefuses(t *testing.T) {
	for name, paths := range map[string][]string{
		"the same operation":                    {"GET /a/{b}", "GET /a/{c}"},
		"the same for all that follows":         {"GET /a/{b:*}", "GET /a/{c:*}"},
		"a parameter twice":                     {"GET /{a}/{a}"},
		"a parameter without an end":            {"GET /{a"},
		"a parameter without a name":            {"GET /{}"},
		"all that follows before the end":       {"GET /{a:*}/b"},
		"a literal with a parameter inside":     {"GET /a{b}"},
		"an expression, which is not evaluated": {"GET /{a:[0-9]+}"},
	} {
		if err := New(nil).Add(declared(paths...)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// naive finds the operation by trying all: at the first segment in which two that match
// differ, a literal wins over a parameter, and that over all that follows.
func naive(method, path string) string {
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	best, rank := "", ""
	for _, operation := range operations {
		declared, pattern, _ := strings.Cut(strings.TrimSuffix(operation, "?"), " ")
		if declared != method {
			continue
		}
		parts, kinds := strings.Split(strings.TrimPrefix(pattern, "/"), "/"), ""
		for n, part := range parts {
			switch {
			case strings.HasSuffix(part, ":*}") && n < len(segments):
				kinds += "c"
			case n >= len(segments) || n == len(parts)-1 && len(segments) != len(parts):
				kinds = "-"
			case strings.HasPrefix(part, "{") && segments[n] != "":
				kinds += "b"
			case part == segments[n] && !strings.HasPrefix(part, "{"):
				kinds += "a"
			default:
				kinds = "-"
			}
			if kinds == "-" {
				break
			}
		}
		if !strings.HasSuffix(kinds, "-") && (best == "" || kinds < rank) {
			best, rank = operation, kinds
		}
	}
	if best == "" && method == http.MethodHead {
		return naive(http.MethodGet, path)
	}
	return best
}

// FuzzFind compares the tree with the attempt of all operations.
func FuzzFind(f *testing.F) {
	for _, path := range []string{"/", "/v1/pods/a", "/v1/parts/summary", "/page/a/b", "/page/", "//", "/v1//a", "/v1/parts/", "/a/b/c"} {
		for n := range uint8(4) {
			f.Add(n, path)
		}
	}
	router := newRouter(f, operations...)
	f.Fuzz(func(t *testing.T, n uint8, path string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{}") {
			t.Skip()
		}
		method := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete}[n%4]
		got := ""
		if m := router.Find(method, &url.URL{Path: path}); m != nil {
			got = m.Route().Operation
		}
		if want := naive(method, path); got != want {
			t.Errorf("%s %q: %q, want %q", method, path, got, want)
		}
		if allowed := router.Allowed(&url.URL{Path: path}); got != "" && !strings.HasSuffix(got, "?") && !slices.Contains(allowed, method) {
			t.Errorf("%s %q is served, and %v are allowed", method, path, allowed)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	router := newRouter(b, operations...)
	path := &url.URL{Path: "/v1/pods/summary"}
	b.ReportAllocs()
	for b.Loop() {
		if router.Find(http.MethodGet, path) == nil {
			b.Fatal("not found")
		}
	}
}
