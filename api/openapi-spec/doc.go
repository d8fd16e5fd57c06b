// Package openapispec embeds the OpenAPI document of our custom resources, as
// Kubernetes publishes them once they are installed.
package openapispec

import _ "embed"

// CustomResources is a Swagger 2.0 document.
//
//go:embed swagger.json
var CustomResources []byte
