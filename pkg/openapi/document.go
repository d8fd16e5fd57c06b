package openapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	restfulspec "github.com/emicklei/go-restful-openapi/v2"
	"github.com/emicklei/go-restful/v3"
	"github.com/go-openapi/spec"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Names of the security schemes.
const (
	schemePassword = "oauth2"
	schemeBearer   = "bearer"
)

// Swagger returns the Swagger 2.0 document of the groups.
func Swagger(groups []route.Group, version string) (*spec.Swagger, error) {
	if err := route.Validate(groups); err != nil {
		return nil, err
	}
	public := make(map[string]bool)
	parameters := make(map[string][]route.Parameter)
	services := make([]*restful.WebService, 0, len(groups))
	for g := range groups {
		group := &groups[g]
		for n := range group.Routes {
			public[group.Routes[n].ID] = group.Routes[n].Public
			parameters[group.Routes[n].ID] = group.Routes[n].Parameters
		}
		services = append(services, webService(group))
	}
	document := restfulspec.BuildSwagger(restfulspec.Config{
		WebServices:                   services,
		DisableCORS:                   true,
		PostBuildSwaggerObjectHandler: func(s *spec.Swagger) { describe(s, groups, version) },
	})
	for path := range document.Paths.Paths {
		item := document.Paths.Paths[path]
		for _, operation := range operations(&item) {
			finish(operation, public[operation.ID], parameters[operation.ID])
		}
	}
	for name, definition := range document.Definitions {
		if len(definition.Type) == 0 {
			definition.Typed("object", "")
		}
		if len(definition.Properties) == 0 && definition.AdditionalProperties == nil {
			definition.AdditionalProperties = &spec.SchemaOrBool{Allows: true} // any object
		}
		document.Definitions[name] = definition
	}
	return document, nil
}

func webService(group *route.Group) *restful.WebService {
	ws := new(restful.WebService)
	ws.Path(group.Prefix)
	for n := range group.Routes {
		r := &group.Routes[n]
		b := ws.Method(r.Method).Path(r.Path).To(func(*restful.Request, *restful.Response) {}).
			Operation(r.ID).Doc(r.Summary).Notes(r.Description).
			Metadata(restfulspec.KeyOpenAPITags, []string{group.Tag}).
			Produces(orJSON(r.Produces)...)
		if r.Body != nil {
			b = b.Reads(r.Body)
		}
		if r.Body != nil || len(r.Consumes) > 0 {
			b = b.Consumes(orJSON(r.Consumes)...)
		}
		for _, p := range r.Parameters {
			b = b.Param(parameter(ws, p))
		}
		for _, response := range r.Responses {
			b = b.Returns(response.Code, response.Description, response.Model)
			if response.Code == http.StatusOK {
				b = b.Writes(response.Model)
			}
		}
		if !r.Public {
			b = b.Returns(http.StatusUnauthorized, "The request has no valid credentials.", metav1.Status{}).
				Returns(http.StatusForbidden, "The caller may not do this.", metav1.Status{})
		}
		ws.Route(b)
	}
	return ws
}

func orJSON(media []string) []string {
	if len(media) == 0 {
		return []string{restful.MIME_JSON}
	}
	return media
}

func parameter(ws *restful.WebService, p route.Parameter) *restful.Parameter {
	var result *restful.Parameter
	switch p.In {
	case route.InPath:
		result = ws.PathParameter(p.Name, p.Description)
	case route.InForm:
		result = ws.FormParameter(p.Name, p.Description)
	default:
		result = ws.QueryParameter(p.Name, p.Description)
	}
	kind := p.Type
	if kind == "" {
		kind = "string"
	}
	result = result.DataType(kind).Required(p.Required || p.In == route.InPath)
	if p.Secret {
		result = result.DataFormat("password")
	}
	return result
}

// describe fills in what is said of the whole API.
func describe(s *spec.Swagger, groups []route.Group, version string) {
	s.Info = &spec.Info{InfoProps: spec.InfoProps{
		Title:       "ks-apiserver",
		Description: "The API of ks-apiserver: KubeSphere's API in front of Kubernetes.",
		Version:     version,
		License:     &spec.License{LicenseProps: spec.LicenseProps{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}},
	}}
	for g := range groups {
		if slices.ContainsFunc(s.Tags, func(t spec.Tag) bool { return t.Name == groups[g].Tag }) {
			continue // of several versions
		}
		s.Tags = append(s.Tags, spec.NewTag(groups[g].Tag, groups[g].Description, nil))
	}
	password := spec.OAuth2Password("/oauth/token")
	password.Description = "User name and password; the client is kubesphere, its secret kubesphere unless it was changed."
	bearer := spec.APIKeyAuth("Authorization", "header")
	bearer.Description = "An access token, written as: Bearer <token>"
	s.SecurityDefinitions = spec.SecurityDefinitions{schemePassword: password, schemeBearer: bearer}
}

// finish adds what go-restful's declarations cannot say.
func finish(operation *spec.Operation, public bool, parameters []route.Parameter) {
	if !public {
		operation.Security = []map[string][]string{{schemePassword: {}}, {schemeBearer: {}}}
	}
	for n := range operation.Parameters {
		p := &operation.Parameters[n]
		i := slices.IndexFunc(parameters, func(declared route.Parameter) bool { return declared.Name == p.Name })
		if i < 0 {
			continue
		}
		p.Enum = nil
		// The types known now are examples: more may be installed at any time.
		if values := parameters[i].Values; len(values) > 0 && p.In != "path" {
			for _, value := range values {
				p.Enum = append(p.Enum, value)
			}
		}
		if values := parameters[i].Values; len(values) > 0 && p.In == "path" {
			p.Description += " Known types: " + strings.Join(values, ", ") + "."
		}
	}
}

func operations(item *spec.PathItem) []*spec.Operation {
	var result []*spec.Operation
	for _, operation := range []*spec.Operation{item.Get, item.Put, item.Post, item.Delete, item.Options, item.Head, item.Patch} {
		if operation != nil {
			result = append(result, operation)
		}
	}
	return result
}

// Encode returns a document as indented JSON with sorted keys, so that changes
// can be reviewed.
func Encode(document any) ([]byte, error) {
	encoded, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	var generic any
	if err := json.Unmarshal(encoded, &generic); err != nil {
		return nil, err
	}
	addScopes(generic)
	indented, err := json.MarshalIndent(generic, "", "  ")
	return append(indented, '\n'), err
}

// addScopes adds the empty lists of scopes that the specifications require of
// OAuth flows and the encoders of both documents leave out.
func addScopes(value any) {
	object, isObject := value.(map[string]any)
	if !isObject {
		return
	}
	if object["tokenUrl"] != nil && object["scopes"] == nil {
		object["scopes"] = map[string]any{}
	}
	for _, inner := range object {
		addScopes(inner)
	}
}
