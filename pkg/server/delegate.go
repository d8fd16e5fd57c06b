package server

import (
	"net/http"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/router"
)

// delegate serves what no operation of this server does. What follows the prefix is not
// looked at.
type delegate struct{ http.Handler }

// ServeHTTP implements http.Handler.
func (d delegate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	prefix, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	r.Pattern = "/" + prefix
	if below {
		r.Pattern += "/"
	}
	d.Handler.ServeHTTP(w, r)
}

// other returns the service behind this server that serves a request; nil for none, and for
// what an operation of this server does that is not for the paths of others as well.
func (f *filters) other(r *http.Request, match *router.Match) http.Handler {
	if f.elsewhere == nil || match != nil && !match.IsLastResort() {
		return nil
	}
	return f.elsewhere.For(r)
}

// parse describes a request. Paths that can be read in two ways are for services
// behind this server only, which get them as they are.
func (f *filters) parse(r *http.Request) (*request.Info, error) {
	info, err := request.Parse(r)
	if err == nil || !request.IsOpaque(r.URL) || f.other(r, f.container.Router.Find(r.Method, r.URL)) == nil {
		return info, err
	}
	return request.ParseOpaque(r)
}

// long are the watches, logs and connections of Kubernetes, our own watches and
// connections, and files. Other requests never are, whatever they claim: else a
// parameter would lift the limits.
func (f *filters) long(r *http.Request, info *request.Info, c *call) (long, file bool) {
	if c.delegated { // how long an answer takes is agreed with whoever gives it
		events := r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/event-stream")
		upgrades := r.Header.Get("Upgrade") != "" && (r.Body == nil || r.Body == http.NoBody)
		return info.Verb == "watch" || events || upgrades, false
	}
	if !info.Kubernetes {
		if info.Verb != "watch" && info.Subresource != "exec" && r.Header.Get("Upgrade") == "" {
			return false, false
		}
		operation := route.Of(c.match)
		if operation == nil || !operation.Watchable {
			info.IgnoreWatch() // a list is what is served, so that it is what is authorized
		}
		if operation == nil {
			return false, false
		}
		long = operation.Watchable && info.Verb == "watch" || operation.Upgrades && r.Header.Get("Upgrade") != ""
		return long || operation.Transfers, operation.Transfers
	}
	return info.Lasts(), false
}
