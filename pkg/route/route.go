package route

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Handler serves a request or returns the error to answer with.
type Handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler.
func (h Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		status.Write(w, r, err)
	}
}

// Serve makes a Handler of an http.Handler, which answers its errors itself.
func Serve(handler http.Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		handler.ServeHTTP(w, r)
		return nil
	}
}

// Kind is where a parameter is found.
type Kind string

// The kinds of parameters.
const (
	InPath  Kind = "path"
	InQuery Kind = "query"
	InForm  Kind = "form"
)

// Object is any object of Kubernetes, as a model of bodies and answers.
type Object map[string]any

// Parameter documents a parameter.
type Parameter struct {
	In          Kind
	Name        string
	Description string
	// Type is string, integer or boolean; string when empty.
	Type     string
	Required bool
	// Values are all the values allowed; empty for any.
	Values []string
	// Secret hides what is typed into forms.
	Secret bool
}

// Response documents an answer.
type Response struct {
	Code        int
	Description string
	// Model is a value of the Go type of the body; nil for none.
	Model any
}

// Route is one operation.
type Route struct {
	Method string
	// Path is below the prefix of its group, with {name} for parameters.
	Path string
	// ID is the operationId: unique and stable, since SDKs name methods by it.
	ID          string
	Summary     string
	Description string
	Parameters  []Parameter
	// Consumes and Produces are media types; application/json when empty.
	Consumes, Produces []string
	// Body is a value of the Go type of the request body; nil for none.
	Body any
	// Responses always include those of success; errors of authentication and
	// authorization are added where they apply.
	Responses []Response
	// Public operations need no credentials.
	Public bool
	// DocumentedElsewhere operations, with all others of their prefix, are part of a document
	// of Kubernetes, and not of ours.
	DocumentedElsewhere bool
	// CrossOrigin operations may be called, and their answers read, by pages of any
	// origin. They use no cookies.
	CrossOrigin bool
	// Watchable operations stream changes when asked with watch=true: such a
	// request may last.
	Watchable bool
	// Upgrades is whether the operation changes to another protocol: such a
	// request may last.
	Upgrades bool
	// Transfers is whether the operation moves files: such a request may last,
	// and its handler bounds how much it reads.
	Transfers bool
	// Gathers is whether the operation reads lists of objects whole, though it changes
	// nothing: few of them are served at once.
	Gathers bool
	// Awaits is whether the operation waits for servers outside of the platform, or for
	// pods to end, and reads no lists whole: it takes long, and little of this server.
	Awaits  bool
	Handler Handler
}

// Group is a set of operations below one prefix.
type Group struct {
	// Prefix such as /kapis/resources.kubesphere.io/v1alpha3.
	Prefix string
	// Tag groups the operations in the document.
	Tag         string
	Description string
	// General groups have paths of other groups as well, which come first.
	General bool
	Routes  []Route
}

// Path is the full path of a route of the group.
func (g *Group) Path(r *Route) string {
	return strings.TrimSuffix(g.Prefix, "/") + r.Path
}

// Validate reports routes that are not fully documented or not unique.
func Validate(groups []Group) error {
	var problems []error
	ids, operations := make(map[string]bool), make(map[string]bool)
	for g := range groups {
		group := &groups[g]
		for n := range group.Routes {
			r := &group.Routes[n]
			wrong := func(format string, args ...any) {
				problems = append(problems, fmt.Errorf("%s %s: %s", r.Method, group.Path(r), fmt.Sprintf(format, args...)))
			}
			switch {
			case r.ID == "" || r.Summary == "" || r.Handler == nil || len(r.Responses) == 0 || group.Tag == "":
				wrong("operationId, summary, handler, responses and tag are mandatory")
			case ids[r.ID]:
				wrong("operationId %s is there twice", r.ID)
			}
			ids[r.ID] = true
			operation := r.Method + " " + group.Path(r)
			if operations[operation] {
				wrong("the operation is there twice")
			}
			operations[operation] = true
			seen := make(map[string]bool)
			for _, p := range r.Parameters {
				key := string(p.In) + " " + p.Name
				if seen[key] {
					wrong("%s parameter %s is there twice", p.In, p.Name)
				}
				seen[key] = true
			}
			for _, name := range pathParameters(group.Path(r)) {
				if !r.documents(name) {
					wrong("path parameter %s is not documented", name)
				}
			}
		}
	}
	return errors.Join(problems...)
}

func (r *Route) documents(name string) bool {
	for _, p := range r.Parameters {
		if p.In == InPath && p.Name == name {
			return true
		}
	}
	return false
}

func pathParameters(path string) []string {
	var names []string
	for segment := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(segment, "{") {
			names = append(names, strings.TrimSuffix(strings.Trim(segment, "{}"), ":*"))
		}
	}
	return names
}
