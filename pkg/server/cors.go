package server

import (
	"net/http"
	"slices"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// preflightSeconds is how long browsers may remember the answer to a preflight.
const preflightSeconds = "600"

// crossOrigin lets pages of any origin call the operations that allow it (Fetch
// standard, CORS). Browsers send no cookies with such requests, since there is no
// Access-Control-Allow-Credentials: what a page may do it does with a token.
type crossOrigin struct {
	methods map[string][]string // by path
}

func newCrossOrigin(groups []route.Group) crossOrigin {
	c := crossOrigin{methods: make(map[string][]string)}
	for g := range groups {
		for n := range groups[g].Routes {
			if r := &groups[g].Routes[n]; r.CrossOrigin {
				path := groups[g].Path(r)
				c.methods[path] = append(c.methods[path], r.Method)
			}
		}
	}
	return c
}

// handle adds the headers of an answer, and answers preflights itself: those come
// without credentials, and ask only whether the request may be sent.
func (c crossOrigin) handle(w http.ResponseWriter, r *http.Request) (answered bool) {
	methods := c.methods[r.URL.Path]
	header := w.Header()
	if len(methods) == 0 {
		return false
	}
	if r.Method == http.MethodOptions {
		if r.Header.Get("Origin") == "" || r.Header.Get("Access-Control-Request-Method") == "" {
			return false
		}
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
		header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		header.Set("Access-Control-Max-Age", preflightSeconds)
		w.WriteHeader(http.StatusNoContent)
		return true
	}
	if slices.Contains(methods, r.Method) {
		header.Set("Access-Control-Allow-Origin", "*")
		header.Set("Access-Control-Expose-Headers", headerRequestID+", Retry-After, WWW-Authenticate")
	}
	return false
}
