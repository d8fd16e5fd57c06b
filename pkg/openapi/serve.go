package openapi

import (
	"net/http"
	"sync/atomic"

	"github.com/go-openapi/spec"
	"github.com/swaggest/swgui"
	"github.com/swaggest/swgui/v5emb"

	definitions "github.com/super-kubenetes/ks-apiserver/api/openapi-spec"
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

// rendered are the documents in both versions.
type rendered struct{ v2, v3 []byte }

// NewDocuments returns the documents of this server alone.
func NewDocuments(document *spec.Swagger) (*Documents, error) {
	d := &Documents{}
	both, err := render(document)
	if err != nil {
		return nil, err
	}
	d.own = both.v2
	d.rendered.Store(both)
	return d, nil
}

func render(document *spec.Swagger) (*rendered, error) {
	v2, err := Encode(document)
	if err != nil {
		return nil, err
	}
	v3, err := V3(document)
	return &rendered{v2, v3}, err
}

// Handlers serve the documents and the page that shows them.
func (d *Documents) Handlers() map[string]http.Handler {
	v2 := document(func() []byte { return d.rendered.Load().v2 })
	v3 := document(func() []byte { return d.rendered.Load().v3 })
	page := v5emb.NewWithConfig(swgui.Config{
		ShowTopBar: true, // where one chooses between the two
		SettingsUI: map[string]string{
			"docExpansion": `"list"`,
			"validatorUrl": "null", // nothing is sent elsewhere
			"urls":         `[{"name": "ks-apiserver", "url": "` + DocumentPath + `"}, {"name": "custom resources", "url": "` + DefinitionsPath + `"}]`,
		},
	})("ks-apiserver", DocumentPath, PagePath)
	return map[string]http.Handler{
		"GET " + DocumentPath:    v2,
		"GET " + DefinitionsPath: document(func() []byte { return definitions.CustomResources }),
		"GET /openapi/v2":        v2,
		"GET /openapi/v3":        v3,
		"GET " + PagePath:        secured(page),
		"GET /swagger-ui":        http.RedirectHandler(PagePath, http.StatusMovedPermanently),
	}
}

func document(now func() []byte) http.Handler {
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
