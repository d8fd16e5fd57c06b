// Package manifests embeds the declarative objects a cluster is set up with:
// the custom resource definitions, which are generated from api/, and the
// built-in roles.
package manifests

import "embed"

// CRDs are the custom resource definitions, in crds/.
//
//go:embed crds/*.yaml
var CRDs embed.FS

// IAM are the built-in roles and bindings, in iam/.
//
//go:embed iam/*.yaml
var IAM embed.FS
