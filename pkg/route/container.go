package route

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"

	restfulspec "github.com/emicklei/go-restful-openapi/v2"
	"github.com/emicklei/go-restful/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/router"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Keys of the metadata of routes.
const (
	// keyOperation is the *Route that was declared.
	keyOperation = "ks-operation"
	// keyGeneral is set for the routes of general groups.
	keyGeneral = "ks-general"
)

// Unmatched is the pattern of requests that no operation serves.
const Unmatched = "/"

// ErrUnserved is returned by operations of a general group for what they do not
// serve: the request is answered as if the group were not there.
var ErrUnserved = errors.New("not served here")

// Container serves operations.
type Container struct {
	*restful.Container
	Router *router.Router
	// Tags are what its operations are grouped by in documents, in the order of the groups.
	Tags []Tag
}

// Tag is a group of operations in documents.
type Tag struct{ Name, Description string }

// NewContainer returns a container that serves the operations of groups. Paths that nothing
// serves are answered with 404, and methods a path does not have with 405, both as a Status.
// It fails when operations are not documented, or are there twice.
func NewContainer(groups ...Group) (*Container, error) {
	if err := Validate(groups); err != nil {
		return nil, err
	}
	c := &Container{Container: restful.NewContainer(), Router: router.New(isGeneral)}
	c.Container.Router(c.Router)
	c.DoNotRecover(true) // the server does
	c.ServiceErrorHandler(func(err restful.ServiceError, r *restful.Request, w *restful.Response) {
		refuse(w.ResponseWriter, r.Request, err)
	})
	for g := range groups {
		tag := Tag{groups[g].Tag, groups[g].Description}
		documented := !slices.ContainsFunc(groups[g].Routes, func(r Route) bool { return r.DocumentedElsewhere })
		if documented && !slices.ContainsFunc(c.Tags, func(known Tag) bool { return known.Name == tag.Name }) { // of several versions
			c.Tags = append(c.Tags, tag)
		}
	}
	for _, service := range c.services(groups) {
		if err := c.Router.Add(service); err != nil {
			return nil, err
		}
		c.Add(service)
	}
	return c, nil
}

// ServeHTTP implements http.Handler. Unlike that of restful.Container it asks the router alone.
func (c *Container) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.Dispatch(w, r) }

// Of returns the operation that was matched; nil for none.
func Of(match *router.Match) *Route {
	if match == nil {
		return nil
	}
	return Declared(match.Route())
}

// Declared returns the operation that a route was made of; nil for none.
func Declared(r *restful.Route) *Route {
	operation, _ := r.Metadata[keyOperation].(*Route)
	return operation
}

func isGeneral(r *restful.Route) bool { return r.Metadata[keyGeneral] != nil }

func refuse(w http.ResponseWriter, r *http.Request, err restful.ServiceError) {
	r.Pattern = Unmatched
	for name, values := range err.Header {
		w.Header()[name] = values
	}
	if err.Code == http.StatusMethodNotAllowed {
		status.Write(w, r, status.New(err.Code, metav1.StatusReasonMethodNotAllowed, "%s", err.Message))
		return
	}
	status.Write(w, r, status.NotFound("%s", err.Message))
}

// services are the web services of groups: one for each prefix, since a container has no two
// of the same.
func (c *Container) services(groups []Group) []*restful.WebService {
	var all []*restful.WebService
	known := make(map[string]*restful.WebService)
	for g := range groups {
		group := &groups[g]
		prefix := cmp.Or(strings.TrimSuffix(group.Prefix, "/"), "/")
		ws := known[prefix]
		if ws == nil {
			ws = new(restful.WebService).Path(prefix)
			known[prefix] = ws
			all = append(all, ws)
		}
		for n := range group.Routes {
			ws.Route(c.builder(ws, group, &group.Routes[n]))
		}
	}
	return all
}

func (c *Container) builder(ws *restful.WebService, group *Group, r *Route) *restful.RouteBuilder {
	b := ws.Method(r.Method).Path(r.Path).To(c.function(r.Method+" "+group.Path(r), group.handler(r))).
		Operation(r.ID).Doc(r.Summary).Notes(r.Description).
		Metadata(restfulspec.KeyOpenAPITags, []string{group.Tag}).Metadata(keyOperation, r).
		Produces(orJSON(r.Produces)...)
	if group.General {
		b = b.Metadata(keyGeneral, true)
	}
	if r.Body != nil {
		b = b.Reads(r.Body)
	}
	if r.Body != nil || len(r.Consumes) > 0 {
		b = b.Consumes(orJSON(r.Consumes)...)
	}
	for _, p := range r.Parameters {
		b = b.Param(parameter(ws, p))
	}
	for _, response := range r.Responses {
		b = b.Returns(response.Code, response.Description, response.Model)
		if response.Code == http.StatusOK {
			b = b.Writes(response.Model)
		}
	}
	if !r.Public {
		b = b.Returns(http.StatusUnauthorized, "The request has no valid credentials.", metav1.Status{}).
			Returns(http.StatusForbidden, "The caller may not do this.", metav1.Status{})
	}
	return b
}

// function serves an operation.
func (c *Container) function(pattern string, handler Handler) restful.RouteFunction {
	return func(q *restful.Request, w *restful.Response) {
		r := q.Request
		r.Pattern = pattern
		for name, value := range q.PathParameters() {
			r.SetPathValue(name, value)
		}
		err := handler(w.ResponseWriter, r)
		switch {
		case errors.Is(err, ErrUnserved):
			refuse(w.ResponseWriter, r, c.Router.Refusal(r))
		case err != nil:
			status.Write(w.ResponseWriter, r, err)
		}
	}
}

func orJSON(media []string) []string {
	if len(media) == 0 {
		return []string{restful.MIME_JSON}
	}
	return media
}

func parameter(ws *restful.WebService, p Parameter) *restful.Parameter {
	var result *restful.Parameter
	switch p.In {
	case InPath:
		result = ws.PathParameter(p.Name, p.Description)
	case InForm:
		result = ws.FormParameter(p.Name, p.Description)
	default:
		result = ws.QueryParameter(p.Name, p.Description)
	}
	kind := p.Type
	if kind == "" {
		kind = "string"
	}
	result = result.DataType(kind).Required(p.Required || p.In == InPath)
	if p.Secret {
		result = result.DataFormat("password")
	}
	return result
}
