package extensions

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Headers that tell a back end who sent a request.
const (
	headerUser  = "X-Remote-User"
	headerGroup = "X-Remote-Group"
	// HeaderIdentity carries an identity assertion, which proves the others: a JWT
	// signed with a key of /oauth/keys.
	HeaderIdentity = "X-Kubesphere-Identity"
)

// ourCookies are those of our login pages: back ends neither see nor set them.
const ourCookies = "ks-"

// passage is a request on its way.
type passage struct {
	assertion string
	// sent is what the client sends.
	sent *sent
	// connected is whether there is a connection for the request.
	connected atomic.Bool
	// tell says once what became of the request: nil for an answer.
	tell func(error)
}

// trace notes whether the request got a connection. One that was kept can be dead, so that
// another is made.
func (p *passage) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { p.connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	}
}

// failed says that the request got no answer. Only connections that cannot be made count as
// failures of the back end: what becomes of a request depends on the request, so that one
// user would close the back end to all others.
func (p *passage) failed(err error) {
	if p.connected.Load() {
		err = nil
	}
	p.tell(err)
}

type passageKey struct{}

func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

// serve passes a request on. The assertion says who sent it.
func (b *backend) serve(w http.ResponseWriter, r *http.Request, assertion string) {
	r.Pattern = b.id()
	holder := turns.HolderFrom(r.Context())
	if err := b.waiting.Take(holder, 1); err != nil {
		status.Write(w, r, status.Unavailable(1, "the back end %s has as many requests to answer as it may have at the moment", b.id()))
		return
	}
	done, err := b.breaker.Allow()
	if err != nil {
		b.waiting.Release(holder, 1)
		status.Write(w, r, status.Unavailable(status.Seconds(leftAlone), "the back end %s could not be reached several times in a row, and is left alone for a moment", b.id()))
		return
	}
	var once sync.Once
	p := &passage{assertion: assertion, sent: &sent{ReadCloser: r.Body}, tell: func(err error) { once.Do(func() { done(err); b.waiting.Release(holder, 1) }) }}
	defer p.tell(context.Canceled) // when it is neither answered nor refused, the client is gone
	r = r.WithContext(httptrace.WithClientTrace(context.WithValue(r.Context(), passageKey{}, p), p.trace()))
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = p.sent
	}
	if r.Header.Get("Upgrade") != "" {
		b.upgrades.ServeHTTP(w, r)
		return
	}
	b.requests.ServeHTTP(w, r)
}

// sent is the body of a request, and whether it could be read.
type sent struct {
	io.ReadCloser
	broken atomic.Bool
}

func (s *sent) Read(into []byte) (int, error) {
	n, err := s.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		s.broken.Store(true)
	}
	return n, err
}

func (b *backend) proxy(transport http.RoundTripper) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		Rewrite: b.rewrite, Transport: transport, ModifyResponse: b.answered, ErrorHandler: b.failed,
		FlushInterval: -1, // events are passed on as they come
		ErrorLog:      slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

// rewrite runs after the headers that Connection names were removed.
func (b *backend) rewrite(r *httputil.ProxyRequest) {
	header := r.Out.Header
	cookies := r.In.Cookies()
	r.Out.URL = b.address(r.In.URL)
	r.Out.Host = r.In.Host
	if b.kind == kindAPIService || b.directives.ChangeOrigin {
		r.Out.Host = b.target.Host
	}
	if b.directives.Method != "" {
		r.Out.Method = strings.ToUpper(b.directives.Method)
	}
	removeIdentity(header)
	for _, line := range b.directives.HeaderUp {
		change(header, line)
	}
	kube.RemoveIdentity(header)
	if authorization := request.AuthorizationFrom(r.In.Context()); b.endpoint.PassAuthorization && authorization != "" {
		header.Set("Authorization", authorization)
	}
	for _, cookie := range cookies {
		if !ours(cookie.Name) {
			r.Out.AddCookie(cookie)
		}
	}
	header.Set("X-Forwarded-For", request.ClientAddress(r.In))
	header.Set("X-Forwarded-Host", r.In.Host)
	header.Set("X-Forwarded-Proto", schemeOf(r.In))
	ctx := r.In.Context()
	if who, found := kuberequest.UserFrom(ctx); found {
		header.Set(headerUser, who.GetName())
		header[headerGroup] = slices.Clone(kube.SendableGroups(who.GetName(), who.GetGroups()))
	}
	if p := passageOf(ctx); p != nil {
		header.Set(HeaderIdentity, p.assertion)
	}
}

func schemeOf(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// ours reports whether a cookie is one of our pages.
func ours(cookie string) bool {
	return strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(cookie, "__Secure-"), "__Host-"), ourCookies)
}

// setsOurs reports whether a line of Set-Cookie sets a cookie of our pages. Browsers
// take lines that net/http does not, and what has no name for its value.
func setsOurs(line string) bool {
	name, _, _ := strings.Cut(strings.TrimLeft(line, "= \t"), "=")
	return ours(strings.TrimSpace(name))
}

// address is where a request goes. What the client encoded stays as it is.
func (b *backend) address(in *url.URL) *url.URL {
	path := in.EscapedPath()
	path = strings.TrimPrefix(path, (&url.URL{Path: b.directives.StripPathPrefix}).EscapedPath())
	path = strings.TrimSuffix(path, (&url.URL{Path: b.directives.StripPathSuffix}).EscapedPath())
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	path = strings.TrimSuffix(b.target.EscapedPath(), "/") + path
	out := &url.URL{Scheme: b.target.Scheme, Host: b.target.Host, RawPath: path, RawQuery: in.RawQuery}
	var err error
	if out.Path, err = url.PathUnescape(path); err != nil {
		out.Path, out.RawPath = path, "" // both parts were parsed before
	}
	return out
}

// answered looks at an answer before it is passed on.
func (b *backend) answered(answer *http.Response) error {
	passageOf(answer.Request.Context()).tell(nil)
	for _, line := range b.directives.HeaderDown {
		change(answer.Header, line)
	}
	if set := slices.DeleteFunc(answer.Header["Set-Cookie"], setsOurs); len(set) == 0 {
		answer.Header.Del("Set-Cookie")
	} else {
		answer.Header["Set-Cookie"] = set
	}
	return b.redirected(answer)
}

var errRedirect = errors.New("the back end redirects to another host")

// redirected makes a redirect of a back end to itself one to where it is here.
func (b *backend) redirected(answer *http.Response) error {
	location := answer.Header.Get("Location")
	if location == "" {
		return nil
	}
	to, err := url.Parse(location)
	if err != nil {
		answer.Header.Del("Location")
		return nil
	}
	inside := to.Host == "" || strings.EqualFold(to.Host, b.target.Host)
	if !inside {
		if b.directives.RejectForwardingRedirects {
			return errRedirect
		}
		return nil
	}
	if !strings.HasPrefix(to.Path, "/") {
		return nil // relative to the path of the request
	}
	path := strings.TrimPrefix(to.EscapedPath(), strings.TrimSuffix(b.target.EscapedPath(), "/"))
	here := &url.URL{RawQuery: to.RawQuery, Fragment: to.Fragment}
	here.RawPath = (&url.URL{Path: strings.TrimSuffix(b.directives.StripPathPrefix, "/")}).EscapedPath() + path
	if here.Path, err = url.PathUnescape(here.RawPath); err != nil {
		return err
	}
	answer.Header.Set("Location", here.String())
	return nil
}

// failed answers for a back end that did not.
func (b *backend) failed(w http.ResponseWriter, r *http.Request, err error) {
	p := passageOf(r.Context())
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		p.tell(err)
		panic(http.ErrAbortHandler) // the client went away: net/http closes the connection
	case errors.Is(err, errRedirect):
		status.Write(w, r, status.New(http.StatusBadGateway, metav1.StatusReasonInternalError, "the back end %s redirects elsewhere, which is not allowed", b.id()))
		return
	case p.sent.broken.Load(): // nobody's fault but the client's, who must not close the back end to others
		p.tell(context.Canceled)
		status.Write(w, r, status.BadRequest("the body of the request cannot be read"))
		return
	}
	p.failed(err)
	slog.WarnContext(r.Context(), "a back end does not answer", "backend", b.id(), "path", r.URL.Path, "error", err)
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) {
		status.Write(w, r, status.New(http.StatusGatewayTimeout, metav1.StatusReasonTimeout, "the back end %s does not answer in time", b.id()))
		return
	}
	status.Write(w, r, status.Unavailable(5, "the back end %s does not answer", b.id()))
}

// headerChange is a line of headerUp or headerDown.
type headerChange struct {
	name, value string
	add, remove bool
}

func parseHeader(line string) (headerChange, error) {
	var c headerChange
	rest := strings.TrimSpace(line)
	switch {
	case strings.HasPrefix(rest, "+"):
		c.add, rest = true, rest[1:]
	case strings.HasPrefix(rest, "-"):
		c.remove, rest = true, rest[1:]
	}
	c.name, c.value, _ = strings.Cut(rest, " ")
	c.value = strings.TrimSpace(c.value)
	if !validName(c.name) || c.remove == (c.value != "") || strings.ContainsAny(c.value, "\r\n\x00") {
		return c, fmt.Errorf("%q is no change of a header: it must be \"Name value\", \"+Name value\" or \"-Name\"", line)
	}
	c.name = textproto.CanonicalMIMEHeaderKey(c.name)
	return c, nil
}

func validName(name string) bool {
	return name != "" && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

// change applies a line; those that are wrong were refused before.
func change(header http.Header, line string) {
	c, err := parseHeader(line)
	switch {
	case err != nil:
	case c.remove:
		header.Del(c.name)
	case c.add:
		header.Add(c.name, c.value)
	default:
		header.Set(c.name, c.value)
	}
}
