package openapi

import (
	"encoding/json"
	"slices"
	"strings"

	restfulspec "github.com/emicklei/go-restful-openapi/v2"
	"github.com/emicklei/go-restful/v3"
	"github.com/go-openapi/spec"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Names of the security schemes.
const (
	schemePassword = "oauth2"
	schemeBearer   = "bearer"
)

// Swagger returns the Swagger 2.0 document of the operations that a container serves.
func Swagger(container *route.Container, version string) *spec.Swagger {
	// What is in Kubernetes' documents has web services of its own, below /apis.
	services := slices.DeleteFunc(container.RegisteredWebServices(), func(service *restful.WebService) bool {
		return slices.ContainsFunc(service.Routes(), func(r restful.Route) bool { return route.Declared(&r).DocumentedElsewhere })
	})
	document := restfulspec.BuildSwagger(restfulspec.Config{
		WebServices:                   services,
		DisableCORS:                   true,
		PostBuildSwaggerObjectHandler: func(s *spec.Swagger) { describe(s, container.Tags, version) },
	})
	declared := make(map[string]*route.Route)
	for _, service := range services {
		for _, r := range service.Routes() {
			declared[r.Operation] = route.Declared(&r)
		}
	}
	for path := range document.Paths.Paths {
		item := document.Paths.Paths[path]
		for _, operation := range operations(&item) {
			finish(operation, declared[operation.ID])
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
	return document
}

// describe fills in what is said of the whole API.
func describe(s *spec.Swagger, tags []route.Tag, version string) {
	s.Info = &spec.Info{InfoProps: spec.InfoProps{
		Title:       "ks-apiserver",
		Description: "The API of ks-apiserver: KubeSphere's API in front of Kubernetes.",
		Version:     version,
		License:     &spec.License{LicenseProps: spec.LicenseProps{Name: "Apache-2.0", URL: "https://www.apache.org/licenses/LICENSE-2.0"}},
	}}
	for _, tag := range tags {
		s.Tags = append(s.Tags, spec.NewTag(tag.Name, tag.Description, nil))
	}
	password := spec.OAuth2Password("/oauth/token")
	password.Description = "User name and password; the client is kubesphere, its secret kubesphere unless it was changed."
	bearer := spec.APIKeyAuth("Authorization", "header")
	bearer.Description = "An access token, written as: Bearer <token>"
	s.SecurityDefinitions = spec.SecurityDefinitions{schemePassword: password, schemeBearer: bearer}
}

// finish adds what go-restful's declarations cannot say.
func finish(operation *spec.Operation, declared *route.Route) {
	parameters := declared.Parameters
	if !declared.Public {
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
