package openapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-openapi/spec"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// thing is a model two documents have by the same name.
type thing struct {
	Name string `json:"name"`
}

func own(t *testing.T) *Documents {
	t.Helper()
	container, err := route.NewContainer(route.Group{Prefix: "/kapis/own.io/v1", Tag: "Own", Routes: []route.Route{{
		Method: http.MethodGet, Path: "/things", ID: "listThings", Summary: "List", Responses: []route.Response{{Code: 200, Description: "All.", Model: thing{}}},
		Handler: func(http.ResponseWriter, *http.Request) error { return nil },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return documentsOf(t, Swagger(container, "v1"))
}

func served(t *testing.T, d *Documents, path string) *spec.Swagger {
	t.Helper()
	w := httptest.NewRecorder()
	serving(t, d, nobody()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	document := &spec.Swagger{}
	if err := json.Unmarshal(w.Body.Bytes(), document); err != nil {
		t.Fatal(err)
	}
	return document
}

// nobody is a Kubernetes that is not asked: nobody is logged in.
func nobody() http.Handler { return http.NotFoundHandler() }

const backend = `{"swagger":"2.0","info":{"title":"t","version":"1"},"basePath":"/kapis/their.io/v1","paths":{
	"/things":{"get":{"operationId":"listThings","security":[{"theirs":[]}],"responses":{"200":{"description":"d","schema":{"$ref":"#/definitions/openapi.thing"}}}}},
	"/others":{"post":{"responses":{"200":{"description":"d"}}}}},
	"definitions":{"openapi.thing":{"type":"object","properties":{"size":{"type":"integer"}}},"unused":{"type":"object"}}}`

// TestMerge: what others document becomes ours, and leaves with them.
func TestMerge(t *testing.T) {
	d := own(t)
	if err := d.Merge([]Part{{Name: "APIService/theirs", Prefix: "/kapis/their.io/v1", JSON: []byte(backend)}}); err != nil {
		t.Fatal(err)
	}
	document := served(t, d, DocumentPath)
	item, found := document.Paths.Paths["/kapis/their.io/v1/things"]
	if !found || item.Get.ID == "listThings" || item.Get.ID == "" || len(item.Get.Security) != 2 || item.Get.Security[0]["theirs"] != nil {
		t.Fatalf("got %+v", item.Get)
	}
	schema := item.Get.Responses.StatusCodeResponses[200].Schema.Ref.String()
	if name := strings.TrimPrefix(schema, "#/definitions/"); document.Definitions[name].Properties["size"].Type == nil {
		t.Errorf("their model is %s: %+v", schema, document.Definitions[name])
	}
	if _, ours := document.Paths.Paths["/kapis/own.io/v1/things"]; !ours || document.Definitions["openapi.thing"].Properties["name"].Type == nil {
		t.Error("our own changed")
	}
	ids := []string{}
	for path := range document.Paths.Paths {
		item := document.Paths.Paths[path]
		for _, operation := range operations(&item) {
			ids = append(ids, operation.ID)
		}
	}
	slices.Sort(ids)
	if len(slices.Compact(slices.Clone(ids))) != 3 {
		t.Errorf("operations %v", ids)
	}
	w := httptest.NewRecorder()
	serving(t, d, nobody()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, V3Path, nil))
	if !strings.Contains(w.Body.String(), `"/kapis/their.io/v1/others"`) {
		t.Error("it is not in the 3.0 document")
	}
	if err := d.Merge(nil); err != nil || len(served(t, d, DocumentPath).Paths.Paths) != 1 {
		t.Errorf("it stays for ever: %v", err)
	}
}

// TestMergeRefuses: a document that is none, or is of paths of others, changes nothing.
func TestMergeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		fail bool
	}{
		"no JSON": {"<html>", true}, "another version": {`{"openapi":"3.0.0","paths":{}}`, true}, "no paths": {`{"swagger":"2.0"}`, true},
		"paths of others": {`{"swagger":"2.0","info":{},"paths":{"/kapis/own.io/v1/things":{"get":{"responses":{}}},"/kapis/their.io/v10/x":{"get":{"responses":{}}},"/oauth/token":{"post":{"responses":{}}}}}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := own(t)
			err := d.Merge([]Part{{Name: "APIService/bad", Prefix: "/kapis/their.io/v1", JSON: []byte(test.text)}, {Name: "APIService/good", Prefix: "/kapis/their.io/v1", JSON: []byte(backend)}})
			if (err != nil) != test.fail || err != nil && !strings.Contains(err.Error(), "APIService/bad") {
				t.Errorf("got %v", err)
			}
			if paths := served(t, d, DocumentPath).Paths.Paths; len(paths) != 3 || paths["/kapis/own.io/v1/things"].Get.ID != "listThings" {
				t.Errorf("got %d paths", len(paths))
			}
		})
	}
}
