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

// Kind is where a parameter is found.
type Kind string

// The kinds of parameters.
const (
	InPath  Kind = "path"
	InQuery Kind = "query"
	InForm  Kind = "form"
)

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
	Public  bool
	Handler Handler
}

// Group is a set of operations below one prefix.
type Group struct {
	// Prefix such as /kapis/resources.kubesphere.io/v1alpha3.
	Prefix string
	// Tag groups the operations in the document.
	Tag         string
	Description string
	Routes      []Route
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
			names = append(names, strings.Trim(segment, "{}."))
		}
	}
	return names
}

// Mount registers the routes of groups with a mux. Paths of a group that no
// route has are answered with 404, and methods no route has with 405, both as
// a Status.
func Mount(mux *http.ServeMux, groups []Group) error {
	if err := Validate(groups); err != nil {
		return err
	}
	methods := make(map[string][]string)
	var paths []string
	for g := range groups {
		for n := range groups[g].Routes {
			r := &groups[g].Routes[n]
			path := groups[g].Path(r)
			mux.Handle(r.Method+" "+path, r.Handler)
			if methods[path] == nil {
				paths = append(paths, path)
			}
			methods[path] = append(methods[path], r.Method)
		}
	}
	for _, path := range paths {
		allowed := strings.Join(methods[path], ", ")
		mux.Handle(path, Handler(func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Allow", allowed)
			return status.New(http.StatusMethodNotAllowed, "MethodNotAllowed", "the method %s is not allowed here, %s is", r.Method, allowed)
		}))
	}
	return nil
}
