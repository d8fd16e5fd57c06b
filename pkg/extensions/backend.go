package extensions

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/sony/gobreaker/v2"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
)

// What is wrong with an endpoint.
var (
	errEndpoint     = errors.New("exactly one of url and service is needed")
	errURL          = errors.New("the URL must be that of an HTTP server, without a user, query or fragment")
	errCertificates = errors.New("caBundle has no certificates in PEM")
)

const (
	// dialTimeout bounds how long a connection takes, with TLS.
	dialTimeout = 5 * time.Second
	// answerTimeout is within what a back end begins to answer, unless it says so itself.
	answerTimeout = 30 * time.Second
	// A back end that cannot be reached this many times in a row is left alone for a while,
	// then one request tries whether it is back.
	failuresInARow = 5
	leftAlone      = 10 * time.Second
	// mostWaiting requests may wait for a back end to begin its answer: one that
	// hangs must not take all that this server serves at once.
	mostWaiting = 100
	// mostWaitingOfUser is the share of each user.
	mostWaitingOfUser = mostWaiting / 2
)

// backend is a service that serves a part of the API.
type backend struct {
	*claim
	target    *url.URL
	transport *http.Transport
	// requests are sent over pooled connections, upgrades over such that can
	// change protocols.
	requests, upgrades *httputil.ReverseProxy
	breaker            *gobreaker.TwoStepCircuitBreaker[struct{}]
	waiting            *quota.Quota // by user
}

// Dialer connects to Services of the cluster, whose names not every pod can
// resolve.
type Dialer interface {
	// DialService connects to a port of a Service.
	DialService(ctx context.Context, namespace, name string, port int32) (net.Conn, error)
}

// newBackend builds what a claim needs; a claim without a problem has no error.
// Pause is how long it is left alone when it cannot be reached.
func newBackend(c *claim, dialer Dialer, pause time.Duration) (*backend, error) {
	target, err := targetOf(&c.endpoint)
	if err != nil {
		return nil, err
	}
	roots, err := certificatesOf(&c.endpoint)
	if err != nil {
		return nil, err
	}
	timeout := answerTimeout
	if c.endpoint.TimeoutSeconds != nil {
		timeout = time.Duration(*c.endpoint.TimeoutSeconds) * time.Second
	}
	b := &backend{claim: c, target: target, waiting: quota.New(mostWaiting, mostWaitingOfUser)}
	b.transport = &http.Transport{
		// No Proxy: what the environment names is for the way out of the cluster.
		DialContext: (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: target.Hostname(),
			InsecureSkipVerify: c.endpoint.InsecureSkipTLSVerify, //nolint:gosec // whoever made the object wants it
		},
		TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: timeout, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 64,
		ForceAttemptHTTP2: true, DisableCompression: true, MaxResponseHeaderBytes: 1 << 20,
	}
	if service := c.endpoint.Service; service != nil {
		port := servicePort(&c.endpoint)
		b.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, dialTimeout)
			defer cancel()
			return dialer.DialService(ctx, service.Namespace, service.Name, port)
		}
	}
	upgradable := b.transport.Clone()
	upgradable.ForceAttemptHTTP2, upgradable.TLSClientConfig.NextProtos = false, []string{"http/1.1"}
	upgradable.MaxIdleConnsPerHost = -1 // one that failed to change protocols is not used again (CVE-2018-1002105)
	b.requests, b.upgrades = b.proxy(b.transport), b.proxy(upgradable)
	b.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: c.id(), Timeout: pause,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failuresInARow },
		IsExcluded:  func(err error) bool { return errors.Is(err, context.Canceled) },
	})
	return b, nil
}

// close gives connections back that nobody will use again.
func (b *backend) close() { b.transport.CloseIdleConnections() }

// same reports whether a back end is what a claim wants, so that its
// connections and what is known of its failures can be kept.
func (b *backend) same(c *claim) bool {
	return b.meta.UID == c.meta.UID && b.meta.Generation == c.meta.Generation
}

// serviceURL is the address of a Service. Its name is what its certificate is for.
func serviceURL(e *v1alpha1.Endpoint) *url.URL {
	scheme := "http"
	if encrypted(e) {
		scheme = "https"
	}
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort(e.Service.Name+"."+e.Service.Namespace+".svc", strconv.Itoa(int(servicePort(e))))}
}

func encrypted(e *v1alpha1.Endpoint) bool {
	return e.Service.Port != nil && *e.Service.Port == 443 || len(e.CABundle) > 0 || e.InsecureSkipTLSVerify
}

func servicePort(e *v1alpha1.Endpoint) int32 {
	switch {
	case e.Service.Port != nil:
		return *e.Service.Port
	case encrypted(e):
		return 443
	}
	return 80
}

// certificatesOf are those who may vouch for a back end, nil for those of the system.
func certificatesOf(e *v1alpha1.Endpoint) (*x509.CertPool, error) {
	if len(e.CABundle) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(e.CABundle) {
		return nil, errCertificates
	}
	return pool, nil
}
