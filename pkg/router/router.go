package router

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/emicklei/go-restful/v3"
)

// Router is the RouteSelector and PathProcessor of a container. Routes are added before it
// serves; selecting is safe for concurrent use.
type Router struct {
	root     node
	segments map[*restful.Route][]string // of the path, "" for literals
	// lastResort reports whether a route serves only what no other does, see New.
	lastResort func(*restful.Route) bool
}

// New returns a router without routes. LastResort, which may be nil, reports whether a route
// is for paths of other web services as well: it is not counted among the methods of a path.
func New(lastResort func(*restful.Route) bool) *Router {
	return &Router{segments: make(map[*restful.Route][]string), lastResort: lastResort}
}

// node is what the segments of a path up to one lead to.
type node struct {
	literals  map[string]*node
	parameter *node
	// ends are the routes whose paths end here, tails those that take all that follows.
	ends, tails []*Match
}

// Match is a route that serves requests.
type Match struct {
	service    *restful.WebService
	route      *restful.Route
	lastResort bool
}

// Route is the route that serves the request.
func (m *Match) Route() *restful.Route { return m.route }

// IsLastResort reports whether the route serves what no other does.
func (m *Match) IsLastResort() bool { return m.lastResort }

// Add adds the routes of a web service. A path is made of literal segments, parameters
// ({name}) and at last a parameter for all that follows ({name:*}). Add fails for other
// paths, and for operations that are there already.
func (t *Router) Add(service *restful.WebService) error {
	var problems []error
	routes := service.Routes()
	for n := range routes {
		if err := t.add(service, &routes[n]); err != nil {
			problems = append(problems, fmt.Errorf("%s %s: %w", routes[n].Method, routes[n].Path, err))
		}
	}
	return errors.Join(problems...)
}

func (t *Router) add(service *restful.WebService, route *restful.Route) error {
	c := &Match{service: service, route: route, lastResort: t.lastResort != nil && t.lastResort(route)}
	at, rest := &t.root, strings.TrimPrefix(route.Path, "/")
	var segments []string
	defer func() { t.segments[route] = segments }()
	for more := true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		name, isParameter := strings.CutPrefix(segment, "{")
		if !isParameter {
			if strings.ContainsAny(segment, "{}") {
				return fmt.Errorf("%q is neither a literal nor a parameter", segment)
			}
			at, segments = at.literal(segment), append(segments, "")
			continue
		}
		name, closed := strings.CutSuffix(name, "}")
		name, isTail := strings.CutSuffix(name, ":*")
		if !closed || name == "" || strings.ContainsAny(name, "{}:*") || slices.Contains(segments, name) {
			return fmt.Errorf("%q is no parameter, or is there twice", segment)
		}
		segments = append(segments, name)
		if isTail {
			if more {
				return fmt.Errorf("%q is not the last segment", segment)
			}
			return appendTo(&at.tails, c)
		}
		if at.parameter == nil {
			at.parameter = &node{}
		}
		at = at.parameter
	}
	return appendTo(&at.ends, c)
}

func (n *node) literal(segment string) *node {
	if n.literals == nil {
		n.literals = make(map[string]*node)
	}
	if n.literals[segment] == nil {
		n.literals[segment] = &node{}
	}
	return n.literals[segment]
}

func appendTo(candidates *[]*Match, c *Match) error {
	for _, other := range *candidates {
		if other.route.Method == c.route.Method {
			return fmt.Errorf("the operation is there already, as %s", other.route.Operation)
		}
	}
	*candidates = append(*candidates, c)
	return nil
}

// Find returns the route that serves a method of a path, nil for none. Where several paths
// match, the one that has a literal segment first counts, if it has the method.
func (t *Router) Find(method string, path *url.URL) *Match {
	s := search{method: method}
	text := path.Path
	if path.RawPath != "" {
		text, s.decode = path.EscapedPath(), true
	}
	text = strings.TrimPrefix(text, "/")
	found := s.below(&t.root, text)
	if found == nil && method == http.MethodHead {
		s.method = http.MethodGet
		found = s.below(&t.root, text)
	}
	return found
}

// search is for one path.
type search struct {
	method string
	decode bool // segments are encoded
}

// below looks for the rest of a path below a node.
func (s *search) below(at *node, rest string) *Match {
	segment, after, more := strings.Cut(rest, "/")
	if s.decode {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return nil
		}
		segment = decoded
	}
	if next := at.literals[segment]; next != nil {
		if found := s.in(next, after, more); found != nil {
			return found
		}
	}
	if at.parameter != nil && segment != "" {
		if found := s.in(at.parameter, after, more); found != nil {
			return found
		}
	}
	return s.of(at.tails)
}

// in looks for what follows the segment that led to a node, if anything does.
func (s *search) in(at *node, after string, more bool) *Match {
	if more {
		return s.below(at, after)
	}
	return s.of(at.ends)
}

func (s *search) of(candidates []*Match) *Match {
	for _, c := range candidates {
		if c.route.Method == s.method {
			return c
		}
	}
	return nil
}

// methods are those an operation may have.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// Allowed returns the methods that a path has, without those of routes of last resort; nil
// for a path that nothing serves.
func (t *Router) Allowed(path *url.URL) []string {
	var allowed []string
	for _, method := range methods {
		if m := t.Find(method, path); m != nil && !m.lastResort {
			allowed = append(allowed, method)
		}
	}
	return allowed
}

type matchKey struct{}

// WithMatch returns a context that knows what serves a request: it is not looked for again.
// Nil is for nothing.
func WithMatch(ctx context.Context, match *Match) context.Context {
	return context.WithValue(ctx, matchKey{}, match)
}

// matchOf returns what serves a request.
func (t *Router) matchOf(r *http.Request) *Match {
	if known, found := r.Context().Value(matchKey{}).(*Match); found {
		return known
	}
	return t.Find(r.Method, r.URL)
}

// SelectRoute implements restful.RouteSelector. The error is a restful.ServiceError of code
// 404, or 405 with the header Allow.
func (t *Router) SelectRoute(_ []*restful.WebService, r *http.Request) (*restful.WebService, *restful.Route, error) {
	if m := t.matchOf(r); m != nil {
		return m.service, m.route, nil
	}
	return nil, nil, t.Refusal(r)
}

// Refusal is the error for a request that no route serves but those of last resort.
func (t *Router) Refusal(r *http.Request) restful.ServiceError {
	allowed := t.Allowed(r.URL)
	if len(allowed) == 0 || slices.Contains(allowed, r.Method) {
		return restful.NewError(http.StatusNotFound, fmt.Sprintf("the server does not have the path %s", r.URL.Path))
	}
	list := strings.Join(allowed, ", ")
	return restful.NewErrorWithHeader(http.StatusMethodNotAllowed, fmt.Sprintf("the method %s is not allowed here, %s is", r.Method, list), http.Header{"Allow": {list}})
}

// ExtractParameters implements restful.PathProcessor: the parameters of a decoded path that
// the route was selected for, nil for none.
func (t *Router) ExtractParameters(route *restful.Route, _ *restful.WebService, path string) map[string]string {
	var parameters map[string]string
	rest := strings.TrimPrefix(path, "/")
	segments := t.segments[route]
	for n, name := range segments {
		value := rest
		if n < len(segments)-1 {
			value, rest, _ = strings.Cut(rest, "/")
		}
		if name == "" {
			continue
		}
		if parameters == nil {
			parameters = make(map[string]string, len(segments)-n)
		}
		parameters[name] = value
	}
	return parameters
}
