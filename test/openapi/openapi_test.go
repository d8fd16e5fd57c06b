package openapi

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-openapi/loads"
	"github.com/go-openapi/strfmt"
	"github.com/go-openapi/validate"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
)

const (
	swaggerFile   = "../../api/ks-openapi-spec/swagger.json"
	openAPIFile   = "../../api/ks-openapi-spec/openapi.json"
	customSwagger = "../../api/openapi-spec/swagger.json"
)

// The files are what the routes say: make generate brings them up to date.
func TestCurrent(t *testing.T) {
	for file, v3 := range map[string]bool{swaggerFile: false, openAPIFile: true} {
		stored, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		made, err := app.Document(v3)
		if err != nil {
			t.Fatal(err)
		}
		if string(stored) != string(made) {
			t.Errorf("%s is not current: run make generate", file)
		}
	}
}

func TestSwagger2IsValid(t *testing.T) {
	for _, file := range []string{swaggerFile, customSwagger} {
		document, err := loads.Spec(file)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := validate.Spec(document, strfmt.Default); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestOpenAPI3IsValid(t *testing.T) {
	loader := openapi3.NewLoader()
	document, err := loader.LoadFromFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	token := document.Paths.Value("/oauth/token").Post
	if token.RequestBody.Value.Content["application/x-www-form-urlencoded"] == nil {
		t.Error("the form of the token endpoint is lost")
	}
	if nodes := document.Paths.Value("/kapis/resources.kubesphere.io/v1alpha3/{resources}").Get; nodes.Security == nil || len(*nodes.Security) != 2 {
		t.Error("the credentials of lists are lost")
	}
}

// Generated clients name methods by operationId: it must be there, unique, and
// no name of a Go closure (kubevirt#467).
func TestOperationIDs(t *testing.T) {
	content, err := os.ReadFile(swaggerFile)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string
			Summary     string
			Tags        []string
			Responses   map[string]struct {
				Schema map[string]any
			}
		}
	}
	if err := json.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]string)
	for path, operations := range document.Paths {
		for method, operation := range operations {
			where := method + " " + path
			id := operation.OperationID
			if id == "" || strings.Contains(id, "func") || seen[id] != "" {
				t.Errorf("%s: operationId %q, also of %q", where, id, seen[id])
			}
			seen[id] = where
			// An answer with a body has a model. Some succeed without: by sending the
			// browser on, or by changing the protocol.
			succeeds := operation.Responses["200"].Schema != nil || operation.Responses["201"].Schema != nil
			for _, code := range []string{"101", "301", "302", "303"} {
				_, documented := operation.Responses[code]
				succeeds = succeeds || documented
			}
			succeeds = succeeds || path == "/oauth/revoke" // its answer has no body (RFC 7009 §2.2)
			if operation.Summary == "" || len(operation.Tags) != 1 || !succeeds {
				t.Errorf("%s is not fully documented", where)
			}
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d operations", len(seen))
	}
}
