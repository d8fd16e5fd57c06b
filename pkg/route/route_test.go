package route

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func answer(text string) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		_, err := w.Write([]byte(text + r.PathValue("name")))
		return err
	}
}

// documented is a route that lacks nothing.
func documented(change func(*Group, *Route)) Group {
	r := Route{
		Method: http.MethodGet, Path: "/things/{name}", ID: "getThing", Summary: "Get a thing", Handler: answer("thing "),
		Parameters: []Parameter{{In: InPath, Name: "name"}}, Responses: []Response{{Code: http.StatusOK}},
	}
	g := Group{Prefix: "/kapis/a.io/v1", Tag: "Things"}
	if change != nil {
		change(&g, &r)
	}
	g.Routes = []Route{r}
	return g
}

func TestValidate(t *testing.T) {
	other := func(change func(*Group, *Route)) Group {
		return documented(func(g *Group, r *Route) {
			r.ID, r.Path = "getOther", "/others/{name}"
			if change != nil {
				change(g, r)
			}
		})
	}
	for _, test := range []struct {
		name   string
		groups []Group
		want   []string // parts of the error
	}{
		{"nothing missing", []Group{documented(nil), other(nil)}, nil},
		{"nothing at all", nil, nil},
		{"no operationId", []Group{documented(func(_ *Group, r *Route) { r.ID = "" })}, []string{"GET /kapis/a.io/v1/things/{name}", "mandatory"}},
		{"no summary", []Group{documented(func(_ *Group, r *Route) { r.Summary = "" })}, []string{"mandatory"}},
		{"no handler", []Group{documented(func(_ *Group, r *Route) { r.Handler = nil })}, []string{"mandatory"}},
		{"no responses", []Group{documented(func(_ *Group, r *Route) { r.Responses = nil })}, []string{"mandatory"}},
		{"no tag", []Group{documented(func(g *Group, _ *Route) { g.Tag = "" })}, []string{"mandatory"}},
		{"an operationId of two groups", []Group{documented(nil), other(func(_ *Group, r *Route) { r.ID = "getThing" })}, []string{"operationId getThing is there twice"}},
		{"a path parameter that is not documented", []Group{documented(func(_ *Group, r *Route) { r.Parameters = nil })}, []string{"path parameter name"}},
		{"one that is documented for the query", []Group{documented(func(_ *Group, r *Route) { r.Parameters[0].In = InQuery })}, []string{"path parameter name"}},
		{"one that takes the rest of the path", []Group{documented(func(_ *Group, r *Route) { r.Path = "/files/{path:*}" })}, []string{"path parameter path"}},
		{"one in the prefix", []Group{documented(func(g *Group, _ *Route) { g.Prefix = "/kapis/clusters/{cluster}/a.io/v1" })}, []string{"path parameter cluster"}},
		{"an operation of two IDs", []Group{documented(nil), documented(func(_ *Group, r *Route) { r.ID = "getThingAgain" })}, []string{"GET /kapis/a.io/v1/things/{name}", "twice"}},
		{"the same path with another method", []Group{documented(nil), documented(func(_ *Group, r *Route) { r.ID, r.Method = "putThing", http.MethodPut })}, nil},
		{"several problems", []Group{documented(func(g *Group, r *Route) { g.Tag, r.Parameters = "", nil })}, []string{"mandatory", "path parameter name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Validate(test.groups)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %v, want %s", err, part)
				}
			}
			if _, other := NewContainer(test.groups...); (other == nil) != (err == nil) {
				t.Errorf("NewContainer: %v", other)
			}
		})
	}
}

func TestContainer(t *testing.T) {
	groups := []Group{
		documented(nil),
		documented(func(_ *Group, r *Route) {
			r.ID, r.Method, r.Handler = "deleteThing", http.MethodDelete, answer("deleted ")
		}),
		documented(func(_ *Group, r *Route) {
			r.ID, r.Path, r.Handler = "failing", "/failing/{name}", func(http.ResponseWriter, *http.Request) error {
				return errors.Join(errors.New("secret detail"), status.BadRequest("name is wrong"))
			}
		}),
		{Tag: "Root", Routes: []Route{{Method: http.MethodPost, Path: "/oauth/token", ID: "token", Summary: "t", Handler: answer("token"), Responses: []Response{{Code: 200}}}}},
	}
	container, err := NewContainer(groups...)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, method, path string
		code               int
		body, allow        string
	}{
		{"a route", "GET", "/kapis/a.io/v1/things/x", 200, "thing x", ""},
		{"HEAD is GET", "HEAD", "/kapis/a.io/v1/things/x", 200, "thing x", ""}, // net/http drops the body
		{"another method", "DELETE", "/kapis/a.io/v1/things/x", 200, "deleted x", ""},
		{"a method no route has", "PUT", "/kapis/a.io/v1/things/x", 405, "the method PUT is not allowed here, GET, HEAD, DELETE is", "GET, HEAD, DELETE"},
		{"a method nobody knows", "BREW", "/oauth/token", 405, "the method BREW is not allowed here", "POST"},
		{"GET of what is only posted to", "GET", "/oauth/token", 405, "not allowed", "POST"},
		{"an error of a handler", "GET", "/kapis/a.io/v1/failing/x", 400, "name is wrong", ""},
		{"a path no route has", "GET", "/kapis/a.io/v1/nothing", 404, "", ""},
		{"an encoded parameter", "GET", "/kapis/a.io/v1/things/a%20b", 200, "thing a b", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			container.ServeHTTP(w, httptest.NewRequest(test.method, test.path, nil))
			if w.Code != test.code || !strings.Contains(w.Body.String(), test.body) || w.Header().Get("Allow") != test.allow {
				t.Errorf("got %d %q, Allow %q", w.Code, w.Body, w.Header().Get("Allow"))
			}
			if test.code == 405 && !strings.Contains(w.Body.String(), `"kind":"Status"`) {
				t.Errorf("no Status: %s", w.Body)
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Errorf("it tells %s", w.Body)
			}
		})
	}
}

// TestOverlap: groups whose paths overlap where none is more specific, which a mux of
// net/http does not take.
func TestOverlap(t *testing.T) {
	groups := []Group{
		{Prefix: "/v1", Tag: "Things", Routes: []Route{
			{Method: http.MethodGet, Path: "/{kind}/summary", ID: "summary", Summary: "s", Handler: answer("summary "), Parameters: []Parameter{{In: InPath, Name: "kind"}}, Responses: []Response{{Code: 200}}},
			{Method: http.MethodGet, Path: "/{kind}/{name}", ID: "get", Summary: "g", Handler: answer("object "), Parameters: []Parameter{{In: InPath, Name: "kind"}, {In: InPath, Name: "name"}}, Responses: []Response{{Code: 200}}},
		}},
		{Prefix: "/v1", Tag: "Parts", Routes: []Route{
			{Method: http.MethodGet, Path: "/parts/{name}", ID: "part", Summary: "p", Handler: answer("part "), Parameters: []Parameter{{In: InPath, Name: "name"}}, Responses: []Response{{Code: 200}}},
		}},
	}
	container, err := NewContainer(groups...)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{
		"/v1/pods/a": "object a", "/v1/pods/summary": "summary ", "/v1/parts/a": "part a", "/v1/parts/summary": "part summary",
	} {
		w := httptest.NewRecorder()
		container.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Body.String() != want {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
}

func TestPathParameters(t *testing.T) {
	for path, want := range map[string][]string{
		"/a/b": nil, "/{a}/b/{c}": {"a", "c"}, "/files/{path:*}": {"path"}, "": nil,
	} {
		if got := pathParameters(path); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

// TestWarnIgnored: an answer had a header for each of thousands of parameters.
func TestWarnIgnored(t *testing.T) {
	for given, want := range map[int]int{0: 0, 1: 1, maxIgnored: maxIgnored, 5000: maxIgnored + 1} {
		w := httptest.NewRecorder()
		WarnIgnored(w, "pods", make([]string, given))
		if got := len(w.Header().Values("Warning")); got != want {
			t.Errorf("%d warnings of %d parameters, want %d", got, given, want)
		}
	}
}
