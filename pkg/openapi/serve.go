package openapi

import (
	"net/http"

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

// Handlers serve the documents and the page that shows them.
func Handlers(document *spec.Swagger) (map[string]http.Handler, error) {
	v2, err := Encode(document)
	if err != nil {
		return nil, err
	}
	page := v5emb.NewWithConfig(swgui.Config{
		ShowTopBar: true, // where one chooses between the two
		SettingsUI: map[string]string{
			"docExpansion": `"list"`,
			"validatorUrl": "null", // nothing is sent elsewhere
			"urls":         `[{"name": "ks-apiserver", "url": "` + DocumentPath + `"}, {"name": "custom resources", "url": "` + DefinitionsPath + `"}]`,
		},
	})("ks-apiserver", DocumentPath, PagePath)
	return map[string]http.Handler{
		"GET " + DocumentPath:    constant(v2),
		"GET " + DefinitionsPath: constant(definitions.CustomResources),
		"GET " + PagePath:        secured(page),
		"GET /swagger-ui":        http.RedirectHandler(PagePath, http.StatusMovedPermanently),
	}, nil
}

func constant(body []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
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
