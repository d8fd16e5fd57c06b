package openapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/go-openapi/spec"
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

// rendered are the documents in both versions, and the first also in the
// protobuf of Kubernetes' clients.
type rendered struct {
	v2, v3   []byte
	hash     string // of both
	protobuf func() ([]byte, error)
}

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
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(v3)
	return &rendered{v2: v2, v3: v3, hash: hex.EncodeToString(sum[:8]), protobuf: sync.OnceValues(func() ([]byte, error) { return binary(v2) })}, nil
}

// Handlers serve the documents of this server and the page that shows them, and
// where Kubernetes has documents, its own with ours.
func (d *Documents) Handlers(kubernetes http.Handler) map[string]http.Handler {
	m := newMerged(kubernetes, d.rendered.Load)
	page := v5emb.NewWithConfig(pageConfig())("ks-apiserver", DocumentPath, PagePath)
	return map[string]http.Handler{
		"GET " + DocumentPath:    current(func() []byte { return d.rendered.Load().v2 }),
		"GET " + DefinitionsPath: current(func() []byte { return definitions.CustomResources }),
		"GET /openapi/v2":        http.HandlerFunc(m.swagger),
		"GET /openapi/v3":        http.HandlerFunc(m.index),
		"GET " + V3Path:          current(func() []byte { return d.rendered.Load().v3 }),
		"GET " + PagePath:        secured(page),
		"GET /swagger-ui":        http.RedirectHandler(PagePath, http.StatusMovedPermanently),
	}
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
