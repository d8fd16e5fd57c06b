package openapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-openapi/spec"
	openapiv2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const theirs = `{"swagger":"2.0","info":{"title":"Kubernetes","version":"v1"},"paths":{"/api/v1/pods":{"get":{"operationId":"listPods","responses":{"200":{"description":"OK"}}}}},"definitions":{"io.k8s.Pod":{"type":"object"}}}`

// kubernetes answers with its documents, to whom it is asked for.
func kubernetes(w http.ResponseWriter, r *http.Request) {
	switch kept := r.Header.Get("If-None-Match"); {
	case r.Method != http.MethodGet: // ordinary users may get documents, and nothing else
		w.WriteHeader(http.StatusForbidden)
	case kept == `"1"` && r.URL.Path == "/openapi/v2": // the tag of Kubernetes, not that of the client
		w.WriteHeader(http.StatusNotModified)
	case kept != "" || r.Header.Get("Accept-Encoding") != "":
		w.WriteHeader(http.StatusTeapot)
	case r.URL.Path == "/openapi/v3":
		_, _ = io.WriteString(w, `{"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=1"}}}`)
	case strings.Contains(r.Header.Get("Accept"), mediaProtobuf):
		w.Header().Set("Content-Type", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf")
		w.Header().Set("Etag", `"1"`)
		text, _ := binary([]byte(theirs))
		_, _ = w.Write(text)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Etag", `"1"`)
		_, _ = io.WriteString(w, theirs)
	}
}

func ours() *spec.Swagger {
	document := &spec.Swagger{}
	document.Swagger, document.Info = "2.0", &spec.Info{InfoProps: spec.InfoProps{Title: "ours", Version: "v1"}}
	operation := spec.NewOperation("listThings").RespondsWith(200, spec.NewResponse().WithDescription("OK"))
	document.Paths = &spec.Paths{Paths: map[string]spec.PathItem{"/kapis/things": {PathItemProps: spec.PathItemProps{Get: operation}}}}
	document.Definitions = spec.Definitions{"Thing": *new(spec.Schema).Typed("object", "")}
	return document
}

// documentsOf are documents of a server alone.
func documentsOf(t *testing.T, own *spec.Swagger) *Documents {
	t.Helper()
	documents := &Documents{}
	if err := documents.SetOwn(own); err != nil {
		t.Fatal(err)
	}
	return documents
}

// serving serves documents.
func serving(t *testing.T, documents *Documents, kubernetes http.Handler) http.Handler {
	t.Helper()
	container, err := route.NewContainer(documents.Group(kubernetes))
	if err != nil {
		t.Fatal(err)
	}
	return container
}

func fetch(t *testing.T, handler http.Handler, path, name string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header = header
	if name != "" {
		r = r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: name}))
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// Who is logged in gets one document of both, whatever form it is asked for in;
// everybody else ours.
func TestMerged(t *testing.T) {
	documents := documentsOf(t, ours())
	handler := serving(t, documents, http.HandlerFunc(kubernetes))
	const both, one = "/api/v1/pods /kapis/things Thing io.k8s.Pod", "/kapis/things Thing"
	protobuf := "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
	for name, want := range map[string]string{"jane": both, user.Anonymous: one, "": one} {
		w := fetch(t, handler, "/openapi/v2", name, http.Header{"Accept-Encoding": {"gzip"}})
		var got spec.Swagger
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%q: %d %v %s", name, w.Code, err, w.Body)
		}
		for _, part := range strings.Fields(both) {
			_, path := got.Paths.Paths[part]
			_, definition := got.Definitions[part]
			if found, wanted := path || definition, strings.Contains(want, part); found != wanted {
				t.Errorf("%q sees %s: %v", name, part, found)
			}
		}
	}
	w := fetch(t, handler, "/openapi/v2", "jane", http.Header{"Accept": {protobuf + ",application/json"}})
	parsed := &openapiv2.Document{}
	if err := proto.Unmarshal(w.Body.Bytes(), parsed); err != nil || !strings.Contains(w.Header().Get("Content-Type"), "protobuf") {
		t.Fatalf("%v %v", err, w.Header())
	}
	if paths := parsed.Paths.Path; len(paths) != 2 || paths[0].Name != "/kapis/things" || paths[1].Name != "/api/v1/pods" || len(parsed.Definitions.AdditionalProperties) != 2 || parsed.Info.Title != "Kubernetes" {
		t.Errorf("in protobuf: %v", parsed)
	}
	if again := fetch(t, handler, "/openapi/v2", "jane", http.Header{"Accept": {protobuf}, "If-None-Match": {w.Header().Get("Etag")}}); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("the same again: %d", again.Code)
	}
	for name, want := range map[string][]string{"jane": {"api/v1", "kapis"}, "": {"kapis"}} {
		w := fetch(t, handler, "/openapi/v3", name, http.Header{})
		var index struct {
			Paths map[string]struct{ ServerRelativeURL string }
		}
		if err := json.Unmarshal(w.Body.Bytes(), &index); err != nil || len(index.Paths) != len(want) {
			t.Fatalf("%q: %v %s", name, err, w.Body)
		}
		for _, path := range want {
			if !strings.HasPrefix(index.Paths[path].ServerRelativeURL, "/openapi/v3/"+path+"?hash=") {
				t.Errorf("%q: %s is %+v", name, path, index.Paths[path])
			}
		}
	}
	if w := fetch(t, handler, V3Path, "", http.Header{}); w.Code != 200 || !strings.Contains(w.Body.String(), `"openapi": "3.0.0"`) {
		t.Errorf("ours: %d %.100s", w.Code, w.Body)
	}
}

// TestMergedOnce: a document was put together anew for each request of ordinary users, who may
// not ask Kubernetes whether it is the same with HEAD; two at once for everybody.
func TestMergedOnce(t *testing.T) {
	documents := documentsOf(t, ours())
	whole := 0
	handler := serving(t, documents, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == "" {
			whole++
		}
		kubernetes(w, r)
	}))
	for range 3 {
		if w := fetch(t, handler, "/openapi/v2", "jane", http.Header{}); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/kapis/things") || !strings.Contains(w.Body.String(), "/api/v1/pods") {
			t.Fatalf("%d %.100s", w.Code, w.Body)
		}
	}
	if whole != 1 {
		t.Errorf("Kubernetes sent its document %d times", whole)
	}
}

// What Kubernetes says instead of a document is passed on.
func TestMergedWithoutKubernetes(t *testing.T) {
	documents := documentsOf(t, ours())
	handler := serving(t, documents, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "away")
	}))
	for _, path := range []string{"/openapi/v2", "/openapi/v3"} {
		if w := fetch(t, handler, path, "jane", http.Header{}); w.Code != 503 || w.Header().Get("Retry-After") != "5" || w.Body.String() != "away" {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
}

// Empty parts on either side leave no commas behind.
func TestJoin(t *testing.T) {
	for _, test := range []struct{ into, from, want string }{
		{`{"paths":{"a":1},"definitions":{"b":2}}`, `{"paths":{"c":3}, "definitions":{ "d":4 }}`, `{"paths":{"c":3,"a":1},"definitions":{"d":4,"b":2}}`},
		{`{"paths":{},"definitions":{"b":2}}`, `{"paths":{"c":3},"definitions":{}}`, `{"paths":{"c":3},"definitions":{"b":2}}`},
		{`{"definitions":{"b":2},"x":{"paths":{}},"paths":{"a":1}}`, `{"paths":{"c":3},"x":{"y":1}}`, `{"definitions":{"b":2},"x":{"paths":{}},"paths":{"c":3,"a":1}}`},
	} {
		got, err := join([]byte(test.into), []byte(test.from))
		if err != nil || string(got) != test.want {
			t.Errorf("%s and %s: %s, %v", test.into, test.from, got, err)
		}
	}
	if got, err := join([]byte("<html>"), []byte("{}")); err == nil {
		t.Errorf("what is no JSON: %s", got)
	}
}
