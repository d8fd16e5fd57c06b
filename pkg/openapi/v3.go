package openapi

import (
	"encoding/json"

	"github.com/go-openapi/spec"
	"k8s.io/kube-openapi/pkg/openapiconv"
	"k8s.io/kube-openapi/pkg/spec3"
	kubespec "k8s.io/kube-openapi/pkg/validation/spec"
)

// V3 converts a Swagger 2.0 document to OpenAPI 3.0. What Kubernetes' own
// documents do not have, and its converter leaves out, is added: forms and the
// credentials an operation needs.
func V3(document *spec.Swagger) ([]byte, error) {
	encoded, err := document.MarshalJSON()
	if err != nil {
		return nil, err
	}
	source := &kubespec.Swagger{}
	if err := json.Unmarshal(encoded, source); err != nil {
		return nil, err
	}
	result := openapiconv.ConvertV2ToV3(source)
	for path, item := range source.Paths.Paths {
		converted := result.Paths.Paths[path]
		for _, pair := range []struct {
			from *kubespec.Operation
			to   *spec3.Operation
		}{
			{item.Get, converted.Get}, {item.Put, converted.Put}, {item.Post, converted.Post},
			{item.Delete, converted.Delete}, {item.Patch, converted.Patch},
		} {
			if pair.from != nil {
				complete(pair.from, pair.to)
			}
		}
	}
	return Encode(result)
}

func complete(from *kubespec.Operation, to *spec3.Operation) {
	to.SecurityRequirement = from.Security
	form := &kubespec.Schema{}
	form.Typed("object", "")
	for _, parameter := range from.Parameters {
		if parameter.In != "formData" {
			continue
		}
		field := kubespec.Schema{}
		field.Typed(parameter.Type, parameter.Format)
		if parameter.Type == "file" { // which version 3 has no type for
			field.Typed("string", "binary")
		}
		field.Description, field.Enum = parameter.Description, parameter.Enum
		form.SetProperty(parameter.Name, field)
		if parameter.Required {
			form.AddRequired(parameter.Name)
		}
	}
	if len(form.Properties) == 0 {
		return
	}
	var kept []*spec3.Parameter
	for _, parameter := range to.Parameters {
		if parameter.In != "formData" {
			kept = append(kept, parameter)
		}
	}
	to.Parameters = kept
	content := make(map[string]*spec3.MediaType, len(from.Consumes))
	for _, media := range from.Consumes {
		content[media] = &spec3.MediaType{MediaTypeProps: spec3.MediaTypeProps{Schema: form}}
	}
	to.RequestBody = &spec3.RequestBody{RequestBodyProps: spec3.RequestBodyProps{Required: true, Content: content}}
}
