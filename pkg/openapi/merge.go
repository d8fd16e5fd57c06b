package openapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-openapi/spec"
	"k8s.io/kube-openapi/pkg/aggregator"
	kubespec "k8s.io/kube-openapi/pkg/validation/spec"
)

// Part is the document of somebody who serves a part of the API.
type Part struct {
	// Name tells it from others, Prefix is where what it serves is: the rest of
	// the document does not count.
	Name, Prefix string
	// JSON is a Swagger 2.0 document.
	JSON []byte
}

// Merge makes parts what is served beside the document of this server, and no
// others. A part that cannot be merged is left out, and the error says so.
func (d *Documents) Merge(parts []Part) error {
	whole := &kubespec.Swagger{}
	if err := json.Unmarshal(d.own, whole); err != nil {
		return err
	}
	operations := make(map[string]bool)
	for path := range whole.Paths.Paths {
		item := whole.Paths.Paths[path]
		for _, operation := range kubeOperations(&item) {
			operations[operation.ID] = true
		}
	}
	var problems []error
	for _, part := range parts {
		added, err := part.read(operations)
		if err == nil {
			err = aggregator.MergeSpecsIgnorePathConflictRenamingDefinitionsAndParameters(whole, added)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", part.Name, err))
		}
	}
	encoded, err := json.Marshal(whole)
	if err != nil {
		return err
	}
	merged := &spec.Swagger{}
	if err := json.Unmarshal(encoded, merged); err != nil {
		return err
	}
	both, err := render(merged)
	if err != nil {
		return err
	}
	d.rendered.Store(both)
	return errors.Join(problems...)
}

var errVersion = errors.New("it is no document of Swagger 2.0")

// read decodes a part. Its operations get the credentials of this server, which
// asks for them, and names that are not taken.
func (p *Part) read(taken map[string]bool) (*kubespec.Swagger, error) {
	document := &kubespec.Swagger{}
	if err := json.Unmarshal(p.JSON, document); err != nil {
		return nil, err
	}
	if document.Swagger != "2.0" || document.Paths == nil {
		return nil, errVersion
	}
	// A document may say once for all where its paths begin.
	if base := strings.TrimSuffix(document.BasePath, "/"); base != "" {
		moved := make(map[string]kubespec.PathItem, len(document.Paths.Paths))
		for path := range document.Paths.Paths {
			moved[base+path] = document.Paths.Paths[path]
		}
		document.Paths.Paths = moved
	}
	document = aggregator.FilterSpecByPathsWithoutSideEffects(document, []string{p.Prefix + "/"})
	for path := range document.Paths.Paths {
		item := document.Paths.Paths[path]
		for _, operation := range kubeOperations(&item) {
			operation.Security = []map[string][]string{{schemePassword: {}}, {schemeBearer: {}}}
			id := operation.ID
			for n := 2; taken[operation.ID] || operation.ID == ""; n++ {
				operation.ID = fmt.Sprintf("%s%s%d", letters(p.Name), id, n)
			}
			taken[operation.ID] = true
		}
	}
	return document, nil
}

// letters is a name as a part of an identifier.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
}

func kubeOperations(item *kubespec.PathItem) []*kubespec.Operation {
	var result []*kubespec.Operation
	for _, operation := range []*kubespec.Operation{item.Get, item.Put, item.Post, item.Delete, item.Options, item.Head, item.Patch} {
		if operation != nil {
			result = append(result, operation)
		}
	}
	return result
}
