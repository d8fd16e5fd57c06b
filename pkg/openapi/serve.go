package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-openapi/spec"
	"github.com/swaggest/swgui/v5emb"

	definitions "github.com/super-kubenetes/ks-apiserver/api/openapi-spec"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// DocumentPath is where the Swagger 2.0 document is served.
const DocumentPath = "/apidocs.json"

// DefinitionsPath is where the document of our custom resources is served, as
// Kubernetes publishes them.
const DefinitionsPath = "/apidocs-crds.json"

// PagePath is where Swagger UI is served.
const PagePath = "/swagger-ui/"

// Documents are the documents as they are served: those of this server, with
// what others add.
type Documents struct {
	own      []byte // the Swagger 2.0 document of this server alone
	rendered atomic.Pointer[rendered]
}

// rendered are the documents in both versions, and the first also in the
// protobuf of Kubernetes' clients.
type rendered struct {
	v2, v3   []byte
	hash     string // of both
	protobuf func() ([]byte, error)
}

// SetOwn sets the document of this server alone. What served before is empty.
func (d *Documents) SetOwn(document *spec.Swagger) error {
	both, err := render(document)
	if err != nil {
		return err
	}
	d.own = both.v2
	d.rendered.Store(both)
	return nil
}

func render(document *spec.Swagger) (*rendered, error) {
	v2, err := Encode(document)
	if err != nil {
		return nil, err
	}
	v3, err := V3(document)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(v3)
	return &rendered{v2: v2, v3: v3, hash: hex.EncodeToString(sum[:8]), protobuf: sync.OnceValues(func() ([]byte, error) { return binary(v2) })}, nil
}

// Group are the operations that serve the documents of this server and the page that shows
// them, and where Kubernetes has documents, its own with ours.
func (d *Documents) Group(kubernetes http.Handler) route.Group {
	m := newMerged(kubernetes, d.rendered.Load)
	page := secured(v5emb.NewWithConfig(pageConfig())("ks-apiserver", DocumentPath, PagePath))
	document := func(path, id, summary string, public bool, serve http.Handler) route.Route {
		return route.Route{
			Method: http.MethodGet, Path: path, ID: id, Summary: summary, Public: public,
			Responses: []route.Response{{Code: http.StatusOK, Description: "The document.", Model: route.Object{}}}, Handler: route.Serve(serve),
		}
	}
	html := func(r route.Route) route.Route {
		r.Produces, r.Responses = []string{"text/html"}, []route.Response{{Code: http.StatusOK, Description: "The page.", Model: ""}}
		return r
	}
	below := document("/openapi/v3/{path:*}", "getOpenAPIOfGroup", "Get the OpenAPI 3.0 document of a group of Kubernetes", false, kubernetes)
	below.Parameters = []route.Parameter{{In: route.InPath, Name: "path", Description: "Group and version, as /openapi/v3 names them."}}
	file := html(document(PagePath+"{file:*}", "getPageFile", "Get Swagger UI", true, page))
	file.Parameters = []route.Parameter{{In: route.InPath, Name: "file", Description: "A file of the page; empty for the page."}}
	moved := html(document(strings.TrimSuffix(PagePath, "/"), "getPage", "Go to Swagger UI", true, http.RedirectHandler(PagePath, http.StatusMovedPermanently)))
	moved.Responses = []route.Response{{Code: http.StatusMovedPermanently, Description: "The page is at " + PagePath + "."}}
	return route.Group{Tag: "Documents", Description: "Documents of the API, and the page that shows them.", Routes: []route.Route{
		document(DocumentPath, "getSwagger", "Get the Swagger 2.0 document of this API", true, current(func() []byte { return d.rendered.Load().v2 })),
		document(DefinitionsPath, "getSwaggerOfCustomResources", "Get the Swagger 2.0 document of the custom resources of the platform", true, current(func() []byte { return definitions.CustomResources })),
		document("/openapi/v2", "getOpenAPIV2", "Get the Swagger 2.0 document of this API and, for who is logged in, of Kubernetes", true, http.HandlerFunc(m.swagger)),
		document("/openapi/v3", "getOpenAPIV3", "List the OpenAPI 3.0 documents of this API and, for who is logged in, of Kubernetes", true, http.HandlerFunc(m.index)),
		document(V3Path, "getOpenAPIV3OfPlatform", "Get the OpenAPI 3.0 document of this API", true, current(func() []byte { return d.rendered.Load().v3 })),
		below, moved, file,
	}}
}

func current(now func() []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(now())
	})
}

// secured lets the page load nothing from elsewhere and be framed by nobody.
// Swagger UI writes styles and one script into its page.
func secured(page http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		page.ServeHTTP(w, r)
	})
}
