package route

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// paramDryRun is the query parameter of a dry run (All to change nothing), as in
// Kubernetes' API. A write that documents it supports dry runs.
const paramDryRun = "dryRun"

// supportsDryRun reports whether an operation serves dry runs and the options of
// deletions itself.
func (r *Route) supportsDryRun() bool {
	return slices.ContainsFunc(r.Parameters, func(p Parameter) bool { return p.In == InQuery && p.Name == paramDryRun })
}

// refusesDryRun reports whether dry runs of an operation are refused: it is a write
// that does not support them.
func (g *Group) refusesDryRun(r *Route) bool {
	writes := r.Method != http.MethodGet && r.Method != http.MethodHead
	return writes && strings.HasPrefix(g.Path(r), "/kapis/") && !r.supportsDryRun()
}

// handler is the handler of a route, which changes nothing for a dry run.
func (g *Group) handler(r *Route) Handler {
	if !g.refusesDryRun(r) {
		return r.Handler
	}
	return func(w http.ResponseWriter, request *http.Request) error {
		if err := checkOptions(request); err != nil {
			return err
		}
		return r.Handler(w, request)
	}
}

// checkOptions returns 400 for a dry run, by the query or by DeleteOptions in the body,
// and for a deletion with preconditions.
func checkOptions(r *http.Request) error {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return status.BadRequest("the query of the URL is malformed")
	}
	if values.Has(paramDryRun) {
		return status.BadRequest("dryRun is not supported by this operation")
	}
	if r.Method != http.MethodDelete || r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	body, err := io.ReadAll(r.Body) // bounded by the server
	if err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	text := bytes.TrimSpace(body)
	if len(text) == 0 {
		return nil
	}
	// Clients send more than DeleteOptions, which are read without their other fields.
	var options struct {
		DryRun        []string              `json:"dryRun"`
		Preconditions *metav1.Preconditions `json:"preconditions"`
	}
	if text[0] == '[' {
		return nil // a list of names
	}
	if err := json.Unmarshal(text, &options); err != nil {
		return DecodeError("the body, DeleteOptions,", err, &options)
	}
	switch {
	case len(options.DryRun) > 0:
		return status.BadRequest("dryRun is not supported by this operation")
	case options.Preconditions != nil && (options.Preconditions.UID != nil || options.Preconditions.ResourceVersion != nil):
		return status.BadRequest("preconditions are not supported by this operation")
	}
	return nil
}
