package kubeproxy

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/rest"
)

const (
	// kept is how many connections over HTTP/1.1 are kept for the next requests,
	// and keptFor how long: less than kube-apiserver keeps them, which would
	// else close one just when a request is sent over it.
	kept    = 128
	keptFor = 30 * time.Second
	// multiplexed connections over HTTP/2 are used in turn: one reads and decrypts
	// on one processor only, however many streams it has.
	multiplexed = 4
	// A connection that says nothing for so long is asked whether it is there.
	silence = 15 * time.Second
	answers = 5 * time.Second
)

// transport returns connections of its own with the credentials of a
// configuration. Bodies are passed on as they are: who asked for compression
// gets it from kube-apiserver.
func transport(config *rest.Config, tune func(*http.Transport)) (http.RoundTripper, error) {
	config = rest.CopyConfig(config)
	config.DisableCompression = true
	if config.Dial == nil {
		// Transports of the same settings are shared, unless they dial differently.
		config.Dial = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	}
	built, err := rest.TransportFor(config)
	if err != nil {
		return nil, err
	}
	for inner := built; ; {
		switch t := inner.(type) {
		case *http.Transport:
			tune(t)
			return built, nil
		case utilnet.RoundTripperWrapper:
			inner = t.WrappedRoundTripper()
		default:
			return built, nil // somebody's own, who knows how it shall be
		}
	}
}

// forRequests are connections over HTTP/1.1, which takes two thirds of the work
// HTTP/2 takes to carry a large answer, for Kubernetes and here.
func forRequests(config *rest.Config) (http.RoundTripper, error) {
	return transport(http1(config), func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost, t.IdleConnTimeout = kept, kept, keptFor
	})
}

// forStreams are connections over HTTP/2, of which a few carry thousands of
// watches that mostly wait.
func forStreams(config *rest.Config) (http.RoundTripper, error) {
	all := &inTurn{}
	for n := range all.transports {
		var err error
		if all.transports[n], err = transport(config, func(t *http.Transport) {
			t.HTTP2 = &http.HTTP2Config{SendPingTimeout: silence, PingTimeout: answers}
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// forUpgrades are connections that can change protocols. None is used twice:
// what a connection is after an upgrade that failed, only the other side knows
// (CVE-2018-1002105).
func forUpgrades(config *rest.Config) (http.RoundTripper, error) {
	return transport(http1(config), func(t *http.Transport) { t.DisableKeepAlives = true })
}

func http1(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	return config
}

// inTurn sends each request over the next transport.
type inTurn struct {
	transports [multiplexed]http.RoundTripper
	turn       atomic.Uint32
}

// RoundTrip implements http.RoundTripper.
func (i *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	return i.transports[i.turn.Add(1)%multiplexed].RoundTrip(r)
}

// buffers are what bodies are copied through. A watch keeps its one as long as
// it lasts, which is why the size is not the same for all.
type buffers struct {
	size int
	pool sync.Pool
}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if found, ok := b.pool.Get().(*[]byte); ok {
		return *found
	}
	return make([]byte, b.size)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
