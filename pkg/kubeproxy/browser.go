package kubeproxy

import (
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// contentPolicy is the Content-Security-Policy of all answers of Kubernetes. Pods, services,
// kubelets and aggregated API servers answer below our origin in what their authors choose,
// logs and error messages included. Their documents get an opaque origin in its place: they
// have none of our cookies, read none of our answers, and do not navigate the pages that
// frame them. They may run scripts, which pages of dashboards need and which reach no more
// than those of any other site. allow-same-origin and allow-top-navigation are missing, and
// windows they open inherit that. A policy of the back end applies beside this one and only
// restricts further.
const contentPolicy = "sandbox allow-downloads allow-forms allow-popups allow-scripts"

// originHeaders are the headers of an answer that act on the whole origin, or on what the
// browser stores for it, rather than on the answer.
var originHeaders = []string{
	// Cookies and sessions, also those of WebSocket handshakes.
	"Set-Cookie", "Set-Cookie2", "Clear-Site-Data", "Set-Login", "Secure-Session-Registration", "Secure-Session-Challenge",
	"Sec-Session-Registration", "Sec-Session-Challenge", "Activate-Storage-Access",
	// Service workers, shared storage and what is kept for later requests.
	"Service-Worker-Allowed", "Shared-Storage-Write", "Use-As-Dictionary",
	// How the host is connected to.
	"Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-Ct", "Alt-Svc",
	// Where errors of all requests to the origin are reported to, and what the browser tells it.
	"Nel", "Report-To", "Accept-Ch", "Accept-Ch-Lifetime", "Critical-Ch",
	// Processes and policies of the origin.
	"Origin-Agent-Cluster", "Origin-Policy", "Origin-Isolation", "X-Permitted-Cross-Domain-Policies", "Supports-Loading-Mode",
	// A dialog for a password that the browser would send with all requests. No Authorization header gets to the back end.
	"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
	// Readers of other origins: which of these read answers is this server's to say.
	"Access-Control-Allow-Origin", "Access-Control-Allow-Credentials", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
	"Access-Control-Allow-Private-Network", "Access-Control-Expose-Headers", "Access-Control-Max-Age", "Timing-Allow-Origin",
	// Redirections: see redirection. The last are for a proxy in front of this server.
	"Refresh", "X-Accel-Redirect", "X-Sendfile", "X-Lighttpd-Send-File", "X-Reproxy-Url",
}

// removedHeaders are originHeaders to look up.
var removedHeaders = sets.New(originHeaders...)

// withoutOrigin removes what an answer of Kubernetes does to the origin of this server, and
// keeps its documents out of it.
func withoutOrigin(header http.Header) {
	for name := range header {
		if removedHeaders.Has(name) {
			delete(header, name)
		}
	}
	header.Add("Content-Security-Policy", contentPolicy)
	header.Set("X-Content-Type-Options", "nosniff")
}

// interimWriter is withoutOrigin for answers that precede the one to a request (1xx), which
// httputil.ReverseProxy passes on by itself.
type interimWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w interimWriter) WriteHeader(code int) {
	if code < http.StatusOK {
		withoutOrigin(w.Header())
	}
	w.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (w interimWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// checkServiceWorker returns a forbidden error for the script of a service worker, which
// would see all requests below its path for as long as it is registered.
func checkServiceWorker(r *http.Request) error {
	if !strings.EqualFold(strings.TrimSpace(r.Header.Get("Service-Worker")), "script") {
		return nil
	}
	return status.New(http.StatusForbidden, metav1.StatusReasonForbidden, "nothing behind the API of Kubernetes is the script of a service worker here")
}
