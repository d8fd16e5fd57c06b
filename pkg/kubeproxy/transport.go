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
	// connections to kube-apiserver are used in turn: one reads and decrypts on
	// one processor only, however many streams it has.
	connections = 4
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

// pooled are connections over HTTP/2.
func pooled(config *rest.Config) (http.RoundTripper, error) {
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

// upgradable are connections over HTTP/1.1, which can change protocols. None is
// used twice: what a connection is after an upgrade that failed, only the other
// side knows (CVE-2018-1002105).
func upgradable(config *rest.Config) (http.RoundTripper, error) {
	config = rest.CopyConfig(config)
	config.NextProtos = []string{"http/1.1"}
	return transport(config, func(t *http.Transport) { t.DisableKeepAlives = true })
}

// inTurn sends each request over the next transport.
type inTurn struct {
	transports [connections]http.RoundTripper
	turn       atomic.Uint32
}

// RoundTrip implements http.RoundTripper.
func (i *inTurn) RoundTrip(r *http.Request) (*http.Response, error) {
	return i.transports[i.turn.Add(1)%connections].RoundTrip(r)
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
