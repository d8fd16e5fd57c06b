package kubeproxy

import (
	"context"
	"log/slog"
	"math"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/secondlock"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Proxy forwards requests to kube-apiserver.
type Proxy struct {
	target      *url.URL
	options     Options
	recheck     time.Duration // how often a request that lasts is looked at again
	rights      Rights
	inspections *turns.Turns
	// filteredLists bounds the lists of all namespaces that are filtered at once.
	filteredLists *turns.Turns
	// mergedLists bounds the lists of namespaces that are read by name at once.
	mergedLists *turns.Turns
	// unreadLists bounds the memory of both until they are read, in bytes by user.
	unreadLists *quota.Quota
	pacing      pacing
	// reads are the turns of lists and watches, by user; Kubernetes bounds all of them.
	reads *turns.Turns
	// settledAfter is for how long a watch sends nothing after its first events.
	settledAfter time.Duration
	// stalled are the places for writes to clients that do not read, by user.
	stalled    *quota.Quota
	transport  http.RoundTripper // for requests that are answered at once
	lasting    http.RoundTripper // for those that last
	standing   *standing
	requests   *httputil.ReverseProxy // what is answered at once
	watches    *httputil.ReverseProxy // passed on as they come, and mostly silent
	streams    *httputil.ReverseProxy // all else that lasts
	upgrades   *httputil.ReverseProxy // over HTTP/1.1, which can change protocols
	namespaces *httputil.ReverseProxy // for lists that show the caller's namespaces
}

// Options configure a proxy.
type Options struct {
	// Config names a kube-apiserver, which need not be there yet.
	Config *rest.Config
	// Rights decides what callers may give by their writes, and see.
	Rights Rights
	// Allowed, unless nil, says of a request that lasts why it may not go on.
	Allowed func(*http.Request) error
	// Revision identifies the state Allowed and Rights decide by, see
	// request.Reauthorization.
	Revision func(context.Context) any
	// Authorizer decides about objects that a write would create and about options of
	// deletions; nil where the rights of the caller alone count.
	Authorizer authorizer.UnconditionalAuthorizer
	// Isolation returns the network isolation of namespaces; nil without any.
	Isolation IsolationReader
	// Backend reports whether a part of the platform's API is served by a Service or,
	// without a name, by one of a namespace; nil when none is.
	Backend func(namespace, name string) bool
	// GroupWorkspace returns the workspace of a group, "" for none; nil when there are
	// no groups.
	GroupWorkspace func(ctx context.Context, group string) (string, error)
	// CheckQuotaName returns an error for a quota of a workspace that has the name of
	// another workspace; nil where that is not checked.
	CheckQuotaName func(ctx context.Context, workspace, name string) error
	// CheckOrphans returns an error when a user may not delete a workspace without its
	// projects; nil where that is not checked.
	CheckOrphans func(ctx context.Context, who user.Info, workspace string) error
	// CheckNewNamespace returns a conflict when objects of an earlier namespace of a name
	// are still stored, or a user may not create one for the bindings that its service
	// accounts would have; nil where that is not checked.
	CheckNewNamespace func(ctx context.Context, who user.Info, namespace string) error
	// Limits bounds the objects that users create; nil without any.
	Limits ObjectLimits
	// SecondLock says which groups stand for the roles of who sends a request; nil for
	// none but those of the user.
	SecondLock *secondlock.Lock
}

// Sizes of buffers: a thousand watches that wait hold a thousand of theirs.
const (
	requestBuffer = 32 << 10
	watchBuffer   = 4 << 10
)

// New returns a proxy.
func New(options Options) (*Proxy, error) {
	target, _, err := rest.DefaultServerUrlFor(options.Config)
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, options: options, rights: options.Rights, recheck: request.ReauthorizeInterval,
		inspections:   turns.New(maxInspections, maxInspectionsPerUser, inspectionWait, tooManyWrites),
		filteredLists: turns.New(maxFilteredLists, maxFilteredListsPerUser, filteredListWait, tooManyLists),
		unreadLists:   quota.New(maxUnreadLists, maxUnreadListsPerUser),
		mergedLists:   turns.New(maxMergedLists, maxMergedListsPerUser, filteredListWait, tooManyLists),
		reads:         turns.New(math.MaxInt, maxReadsPerUser, readWait, tooManyReads),
		pacing:        defaultPacing,
		settledAfter:  settledAfter,
		stalled:       quota.New(maxStalledSeats, maxStalledSeatsPerUser)}
	p.standing = &standing{ask: p.mayServe}
	if p.transport, err = forRequests(options.Config); err != nil {
		return nil, err
	}
	if p.lasting, err = forStreams(options.Config); err != nil {
		return nil, err
	}
	changing, err := forUpgrades(options.Config)
	if err != nil {
		return nil, err
	}
	if options.SecondLock != nil {
		p.transport, p.lasting, changing = options.SecondLock.Patient(p.transport), options.SecondLock.Patient(p.lasting), options.SecondLock.Patient(changing)
	}
	small, large := &buffers{size: watchBuffer}, &buffers{size: requestBuffer}
	p.requests = p.reverse(p.transport, large, p.look)
	p.watches = p.reverse(p.lasting, small, p.look)
	p.streams = p.reverse(p.lasting, large, p.look)
	p.upgrades = p.reverse(changing, large, p.lookUpgraded)
	p.namespaces = p.reverse(p.lasting, small, p.filter)
	return p, nil
}

func (p *Proxy) reverse(transport http.RoundTripper, pool httputil.BufferPool, look func(*http.Response) error) *httputil.ReverseProxy {
	return &httputil.ReverseProxy{
		// Rewrite, unlike Director, runs after the headers that Connection
		// names were removed, so that these cannot be ours.
		Rewrite:       p.rewrite,
		Transport:     transport,
		BufferPool:    pool,
		FlushInterval: -1,
		ModifyResponse: func(answer *http.Response) error {
			withoutOrigin(answer.Header)
			return look(answer)
		},
		ErrorHandler: fail,
		ErrorLog:     slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
	}
}

// Run keeps asking whether Kubernetes lets this server in, until the context ends.
func (p *Proxy) Run(ctx context.Context) { p.standing.run(ctx) }

// Err says why Kubernetes does not let this server in; nil when it does.
func (p *Proxy) Err() error { return p.standing.Err() }

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	info := request.InfoFrom(r.Context())
	if info == nil || info.Cluster != "" {
		status.Write(w, r, status.NotFound("the server does not have the path %s", r.URL.Path))
		return
	}
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		status.Write(w, r, status.Unauthorized("Unauthorized: this needs credentials"))
		return
	}
	if err := checkServiceWorker(r); err != nil {
		status.Write(w, r, err)
		return
	}
	r, err := p.identify(r, info, who)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	if err := p.reveal(r.Context(), who, info); err != nil {
		status.Write(w, r, err)
		return
	}
	if err := p.authorizeBackend(r.Context(), who, info); err != nil {
		status.Write(w, r, err)
		return
	}
	r, err = p.authorizeDeleteOptions(w, r, info, who)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	denied, err := p.creationDenied(r, info, who)
	if err != nil {
		status.Write(w, r, err)
		return
	}
	if denied != nil || p.guards(info) {
		p.forwardInspected(w, r, info, who, denied)
		return
	}
	if guardsDeletion(info) {
		p.forwardDeletion(w, r, info, who)
		return
	}
	if r, err = p.withoutPlatform(r, info, who); err != nil {
		status.Write(w, r, err)
		return
	}
	unfiltered := false
	var visible authz.Visible
	if listsNamespaces(info) {
		visible, err = p.rights.VisibleNamespaces(r.Context(), who, namespacesSeen(info))
		if err != nil {
			status.Write(w, r, err)
			return
		}
		unfiltered = visible.All
	}
	if info.Lasts() {
		var stop context.CancelFunc
		r, stop = p.whileAllowed(r, func() error { //nolint:contextcheck // the request's
			if unfiltered {
				return p.seesAll(r.Context(), who, info)
			}
			return nil
		})
		defer stop()
	}
	if listsNamespaces(info) && !unfiltered {
		p.listNamespaces(w, r.WithContext(asServer(r.Context())), visible)
		return
	}
	p.forward(w, r, info)
}

// forward passes a request on, and its answer back as it is.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request, info *request.Info) {
	w = interimWriter{w}
	if asksForSocket(r, info) {
		p.watchBySocket(w, r, p.look)
		return
	}
	upgrade := r.Header.Get("Upgrade") != "" && upgrades(info)
	if !upgrade {
		r.Header.Del("Upgrade")
	}
	settling, found := p.takeRead(w, r, info)
	if !found {
		return
	}
	defer settling.end()
	paced, r, stop := p.paced(w, r)
	defer stop()
	paced.settling = settling
	switch {
	case upgrade:
		p.upgrade(paced, r)
	case info.Verb == "watch":
		p.watches.ServeHTTP(paced, r)
	case info.Lasts():
		p.streams.ServeHTTP(paced, r)
	default:
		p.requests.ServeHTTP(paced, r)
	}
}

// whileAllowed returns the request with a context that ends when it may not go on,
// of which more says why, too.
func (p *Proxy) whileAllowed(r *http.Request, more func() error) (*http.Request, context.CancelFunc) {
	if p.options.Allowed == nil {
		return r, func() {}
	}
	again := &request.Reauthorization{Revision: p.options.Revision, Allowed: func(r *http.Request) error {
		err := p.options.Allowed(r)
		if err == nil {
			err = more()
		}
		if kube.Unavailable(err) {
			return nil
		}
		return err
	}}
	return again.Reauthorize(r, p.recheck)
}

// upgrade passes a request for another protocol on.
func (p *Proxy) upgrade(w http.ResponseWriter, r *http.Request) {
	if !sameSite(r) {
		status.Write(w, r, otherSite(r))
		return
	}
	p.upgrades.ServeHTTP(w, r)
}

func otherSite(r *http.Request) error {
	return status.New(http.StatusForbidden, metav1.StatusReasonForbidden, "the page at %q may not open connections here", r.Header.Get("Origin"))
}

// sameSite refuses pages of other sites whose browser sends a password for
// them. A bearer token is never sent by itself.
func sameSite(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	who, _ := kuberequest.UserFrom(r.Context())
	if another, ok := who.(*kube.Another); ok {
		who = another.By
	}
	if origin == "" || authn.HasToken(who) {
		return true
	}
	parsed, err := url.Parse(origin)
	return err == nil && parsed.Host == r.Host
}

// overrides are headers that say another method than the one authorised, which
// Kubernetes ignores but a pod behind it may not, or another address of the client.
var overrides = []string{"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Real-Ip"}

// tokenProtocol is the start of a WebSocket's protocol that is a bearer token:
// browsers cannot send it in a header.
const tokenProtocol = "base64url.bearer.authorization.k8s.io."

func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	out := r.Out
	out.URL = p.at(r.In.URL)
	out.Host = p.target.Host
	who, _ := kuberequest.UserFrom(r.In.Context())
	kube.Impersonate(r.In.Context(), out.Header, who)
	for _, name := range overrides {
		delete(out.Header, name)
	}
	if offered := out.Header["Sec-Websocket-Protocol"]; offered != nil {
		withoutToken(out.Header, offered)
	}
	// The audit log of Kubernetes has the addresses, too.
	out.Header["X-Forwarded-For"] = []string{request.ClientAddress(r.In)}
}

func withoutToken(header http.Header, offered []string) {
	var kept []string
	for protocol := range strings.SplitSeq(strings.Join(offered, ","), ",") {
		if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.HasPrefix(protocol, tokenProtocol) {
			kept = append(kept, protocol)
		}
	}
	if len(kept) == 0 {
		header.Del("Sec-Websocket-Protocol")
		return
	}
	header.Set("Sec-Websocket-Protocol", strings.Join(kept, ", "))
}

// at is the URL of kube-apiserver for one of ours. The address of kube-apiserver
// may have a path; the encoding of the client's path stays as it is.
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
