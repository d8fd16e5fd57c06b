package extensions

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
)

// Kinds of objects.
const (
	kindAPIService   = "APIService"
	kindReverseProxy = "ReverseProxy"
)

// claim is what an object wants to serve, and how.
type claim struct {
	kind       string
	meta       metav1.ObjectMeta
	endpoint   v1alpha1.Endpoint
	directives v1alpha1.Directives
	// path is what is claimed: all below it, or that path alone when it is exact.
	path  string
	exact bool
	// method is empty for any.
	method string
}

// id tells the claims of all objects apart.
func (c *claim) id() string { return c.kind + "/" + c.meta.Name }

// claims are what objects want, with the reasons why some get nothing.
func claimsOf(services []v1alpha1.APIService, proxies []v1alpha1.ReverseProxy) (claims []*claim, rejected map[string]string) {
	rejected = make(map[string]string)
	for n := range services {
		spec := &services[n].Spec
		claims = append(claims, &claim{
			kind: kindAPIService, meta: services[n].ObjectMeta, endpoint: spec.Endpoint, path: "/kapis/" + spec.Group + "/" + spec.Version,
		})
	}
	for n := range proxies {
		spec := &proxies[n].Spec
		path, below := strings.CutSuffix(spec.Matcher.Path, "*")
		c := &claim{
			kind: kindReverseProxy, meta: proxies[n].ObjectMeta, endpoint: spec.Upstream, directives: spec.Directives,
			path: path, exact: !below, method: strings.ToUpper(spec.Matcher.Method),
		}
		if below {
			c.path = strings.TrimSuffix(path, "/")
		}
		if c.method == "*" {
			c.method = ""
		}
		claims = append(claims, c)
	}
	// The older object keeps what both claim.
	slices.SortFunc(claims, func(a, b *claim) int {
		return cmp.Or(a.meta.CreationTimestamp.Compare(b.meta.CreationTimestamp.Time), cmp.Compare(a.id(), b.id()))
	})
	owner := make(map[string]*claim)
	return slices.DeleteFunc(claims, func(c *claim) bool {
		if problem := c.problem(); problem != "" {
			rejected[c.id()] = problem
			return true
		}
		key := c.method + " " + c.path
		if c.exact {
			key += " exactly"
		}
		if first := owner[key]; first != nil {
			rejected[c.id()] = c.path + " belongs to " + first.kind + " " + first.meta.Name + ", which is older"
			return true
		}
		owner[key] = c
		return false
	}), rejected
}

// problem is what is wrong with a claim; empty for nothing. The definition of the
// type says the same, but an object may be older than that.
func (c *claim) problem() string {
	if _, err := targetOf(&c.endpoint); err != nil {
		return err.Error()
	}
	if c.kind == kindReverseProxy {
		switch first, _, _ := strings.Cut(strings.TrimPrefix(c.path, "/"), "/"); {
		case c.path == "" || !strings.HasPrefix(c.path, "/"):
			return "the path must begin with / and claim less than everything"
		case slices.Contains([]string{"api", "apis", "kapis", "kapi", "oauth", "clusters"}, first):
			return "paths below /" + first + " are not for reverse proxies"
		case strings.Contains(c.path, "*") || strings.Contains(c.path, "//") || strings.Contains(c.path+"/", "/../") || strings.Contains(c.path+"/", "/./"):
			return "the path is not one a request can have"
		}
		for _, lines := range [][]string{c.directives.HeaderUp, c.directives.HeaderDown} {
			for _, line := range lines {
				if _, err := parseHeader(line); err != nil {
					return err.Error()
				}
			}
		}
	}
	if _, err := certificatesOf(&c.endpoint); err != nil {
		return err.Error()
	}
	return ""
}

// matches reports whether a request is for a claim.
func (c *claim) matches(method, path string) bool {
	if c.method != "" && c.method != method {
		return false
	}
	rest, found := strings.CutPrefix(path, c.path)
	return found && (rest == "" || !c.exact && rest[0] == '/')
}

// table says which back end serves a request. It never changes.
type table struct {
	// backends in the order they are tried: the most specific first.
	backends []*backend
	byID     map[string]*backend
	rejected map[string]string
}

func newTable(backends []*backend, rejected map[string]string) *table {
	t := &table{backends: slices.Clone(backends), byID: make(map[string]*backend, len(backends)), rejected: rejected}
	for _, b := range backends {
		t.byID[b.id()] = b
	}
	slices.SortStableFunc(t.backends, func(a, b *backend) int {
		return cmp.Or(cmp.Compare(len(b.path), len(a.path)), boolCompare(b.exact, a.exact), boolCompare(b.method != "", a.method != ""))
	})
	return t
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// find returns the back end of a request, nil for none.
func (t *table) find(method, path string) *backend {
	for _, b := range t.backends {
		if b.matches(method, path) {
			return b
		}
	}
	return nil
}

// targetOf is the address of a back end.
func targetOf(e *v1alpha1.Endpoint) (*url.URL, error) {
	switch {
	case e.URL == "" && e.Service == nil, e.URL != "" && e.Service != nil:
		return nil, errEndpoint
	case e.Service != nil:
		return serviceURL(e), nil
	}
	target, err := url.Parse(e.URL)
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" || target.User != nil || target.RawQuery != "" || target.Fragment != "" {
		return nil, errURL
	}
	return target, nil
}
