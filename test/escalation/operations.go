package escalation

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// operation is one of the server's own document.
type operation struct{ method, path string }

// readOperations reads the operations of the server's document. Those that log in and out
// are left out: they make and end sessions, which says nothing of rights.
func (w *world) readOperations(ctx context.Context) error {
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := w.callAs(ctx, "", http.MethodGet, "/apidocs.json", nil, &document); err != nil {
		return err
	}
	for path, methods := range document.Paths {
		if strings.HasPrefix(path, "/oauth") {
			continue
		}
		for method := range methods {
			if method = strings.ToUpper(method); method != "PARAMETERS" {
				w.operations = append(w.operations, operation{method, path})
			}
		}
	}
	slices.SortFunc(w.operations, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return nil
}
