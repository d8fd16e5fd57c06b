package kubeproxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Proxy forwards requests to kube-apiserver.
type Proxy struct {
	target     *url.URL
	rights     Rights
	transport  http.RoundTripper
	requests   *httputil.ReverseProxy // over pooled HTTP/2 connections
	upgrades   *httputil.ReverseProxy // over HTTP/1.1, which can change protocols
	namespaces *httputil.ReverseProxy // for lists that show the caller's namespaces
}

// New returns a proxy to the kube-apiserver a configuration names, which it
// does not need to reach yet. Rights say what callers may give by what they write.
func New(config *rest.Config, rights Rights) (*Proxy, error) {
	target, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	pooled, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	upgradable, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, rights: rights, transport: pooled}
	p.requests, p.upgrades, p.namespaces = p.reverse(pooled), p.reverse(upgradable), p.reverse(pooled)
	p.namespaces.ModifyResponse = p.filter
	return p, nil
}

func (p *Proxy) reverse(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		// Rewrite, unlike Director, runs after the headers that Connection
		// names were removed, so that these cannot be ours.
		Rewrite:       p.rewrite,
		Transport:     transport,
		FlushInterval: -1, // watches and logs are passed on as they come
		ErrorHandler:  fail,
		ErrorLog:      slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if described := request.InfoFrom(r.Context()); described == nil || described.Cluster != "" {
		status.Write(w, r, status.NotFound("the server does not have the path %s", r.URL.Path))
		return
	}
	info := request.InfoFrom(r.Context())
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		status.Write(w, r, status.Unauthorized("Unauthorized: this needs credentials"))
		return
	}
	if err := p.reveal(r.Context(), who, info); err != nil {
		status.Write(w, r, err)
		return
	}
	switch {
	case guards(info):
		permitted, err := p.guard(w, r, info, who)
		if err != nil {
			status.Write(w, r, err)
			return
		}
		r = permitted
	case listsNamespaces(info):
		p.listNamespaces(w, r, who)
		return
	}
	if r.Header.Get("Upgrade") != "" {
		p.upgrades.ServeHTTP(w, r)
		return
	}
	p.requests.ServeHTTP(w, r)
}

// Documents serves the OpenAPI documents of Kubernetes to kubectl, which looks
// for them where ours are, and ours to everybody else. kubectl wants the index
// of the 3.0 documents, and the 2.0 document in protobuf; client-go's Accept
// header tells it apart from people and generators of clients.
func (p *Proxy) Documents(ours http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept := r.Header.Get("Accept")
		kubectl := accept == "application/json, */*" || strings.Contains(accept, "com.github.proto-openapi")
		if who, found := kuberequest.UserFrom(r.Context()); kubectl && found && who.GetName() != user.Anonymous {
			p.ServeHTTP(w, r)
			return
		}
		w.Header().Add("Vary", "Accept")
		ours.ServeHTTP(w, r)
	})
}

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL = p.at(r.In.URL)
	out.Host = p.target.Host
	who, _ := kuberequest.UserFrom(r.In.Context())
	kube.Impersonate(out.Header, who)
}

// at is the URL of kube-apiserver for one of ours. The address of kube-apiserver
// may have a path; what the client encoded in its own stays as it is.
func (p *Proxy) at(ours *url.URL) *url.URL {
	theirs := *ours
	theirs.Scheme, theirs.Host = p.target.Scheme, p.target.Host
	theirs.Path = strings.TrimSuffix(p.target.Path, "/") + ours.Path
	theirs.RawPath = ""
	if ours.RawPath != "" {
		theirs.RawPath = strings.TrimSuffix(p.target.EscapedPath(), "/") + ours.RawPath
	}
	return &theirs
}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		// The client went away: net/http closes the connection.
		panic(http.ErrAbortHandler)
	}
	slog.WarnContext(r.Context(), "Kubernetes does not answer", "path", r.URL.Path, "error", err)
	status.Write(w, r, status.Unavailable(5, "Kubernetes does not answer at the moment"))
}
