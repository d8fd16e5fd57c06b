package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// Timeouts and limits of connections, as kube-apiserver's.
const (
	readHeaderTimeout = 32 * time.Second
	idleTimeout       = 90 * time.Second
	maxStreams        = 250
	// maxHeaderBytes is more than any header needs: tokens have at most 8 KiB.
	maxHeaderBytes = 64 << 10
	// A connection over HTTP/2 is closed when nothing can be written to it for
	// stalledTimeout: streams that end do not end a write that waits for the client.
	// One that says nothing for silenceTimeout is asked whether it is there.
	stalledTimeout = 30 * time.Second
	silenceTimeout = 45 * time.Second
	pingTimeout    = 15 * time.Second
)

// Options are what a server is made of. All fields are mandatory but the last three.
type Options struct {
	Config        config.Server
	Groups        []route.Group
	Authenticator authenticator.Request
	Authorizer    authorizer.UnconditionalAuthorizer
	// StillAllowed decides again about a request of somebody who authenticated, whose
	// context says who: an error is why it may not be made any more. Nil for never.
	StillAllowed func(*http.Request) error
	// OwnerOf returns the workspace that a namespace is in, or what stands for none, and who
	// created it, "" for the system; nil when nothing is known of namespaces.
	OwnerOf func(ctx context.Context, namespace string) (creator, home string)
	// DevOpsNamespace returns the namespace of a DevOps project, "" for none.
	DevOpsNamespace func(ctx context.Context, project string) (string, error)
	// Ready are the conditions for requests to be sent to this server.
	Ready    []Check
	Registry *prometheus.Registry
	// Handlers serve what is not an operation of the API: pages and documents.
	Handlers map[string]http.Handler
	// Elsewhere serves what neither the groups nor the handlers do; nil for nobody.
	Elsewhere Elsewhere
	// ReadsBody reports whether the handler of a request to Kubernetes reads the whole
	// body, which is then read and bounded as those of the groups; nil for none. The
	// context has the user.
	ReadsBody func(*http.Request, *request.Info) bool
	// Certificate returns the one to show when the configuration names none.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// Elsewhere are services that serve a part of the API behind this server.
type Elsewhere interface {
	// For returns what serves a request, nil for nothing. Bodies of such requests
	// beyond the limit of others are streamed, and bounded where they go.
	For(r *http.Request) http.Handler
}

// Server listens from the moment it is made, so that a taken port is known at
// once, and serves when it runs.
type Server struct {
	options     Options
	handler     http.Handler
	plain       net.Listener
	encrypted   net.Listener
	connections *connections
	stopping    chan struct{}
	watches     context.Context //nolint:containedctx // ends all watches when the server stops
	stop        context.CancelFunc
}

// New listens on the configured ports.
func New(ctx context.Context, options Options) (*Server, error) {
	s := &Server{options: options, stopping: make(chan struct{})}
	s.watches, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	admission := newAdmission(&options.Config)
	s.connections = newConnections(options.Config.MaxConnections, func() { admission.metrics.reject(reasonConnections) })
	m, err := newMetrics(options.Registry, gauges{inFlight: admission.inFlight.Held, longRunning: admission.longRunning.Held, connections: s.connections.count.Load})
	if err != nil {
		return nil, err
	}
	admission.metrics = m
	mux, err := s.mux()
	if err != nil {
		return nil, err
	}
	proxies, err := trusted(options.Config.TrustedProxies)
	if err != nil {
		return nil, err
	}
	s.handler = &filters{
		proxies: proxies,
		next:    byteByByte(mux, options.Handlers["/api/"]), authenticator: options.Authenticator, authorizer: options.Authorizer, namespaceOf: options.DevOpsNamespace, ownerOf: options.OwnerOf, stillAllowed: options.StillAllowed,
		metrics: m, admission: admission,
		lasting: lasting(mux, options.Groups), watches: s.watches, elsewhere: elsewhere(mux, options), readsBody: options.ReadsBody,
		crossOrigin: newCrossOrigin(options.Groups), refusals: newRefusalLog(),
	}
	if err := s.listen(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *Server) mux() (*http.ServeMux, error) {
	mux := http.NewServeMux()
	if err := route.Mount(mux, s.options.Groups); err != nil {
		return nil, err
	}
	for pattern, handler := range s.options.Handlers {
		mux.Handle(pattern, handler)
	}
	alive := []Check{{Name: "ping", Err: func() error { return nil }}}
	mux.Handle("GET /livez", healthHandler(alive))
	mux.Handle("GET /healthz", healthHandler(alive))
	stopping := Check{Name: "shutdown", Err: func() error {
		select {
		case <-s.stopping:
			return errors.New("the server is stopping")
		default:
			return nil
		}
	}}
	mux.Handle("GET /readyz", healthHandler(append([]Check{stopping}, s.options.Ready...)))
	measured := promhttp.HandlerFor(s.options.Registry, promhttp.HandlerOpts{})
	mux.Handle("GET /metrics", measured)
	mux.Handle("GET /kapis/metrics", measured)
	return mux, nil
}

// elsewhere finds what serves a request that nothing of this server does but
// what serves any group.
func elsewhere(mux *http.ServeMux, options Options) func(*http.Request) http.Handler {
	general := map[string]bool{"": true, "/": true}
	for g := range options.Groups {
		for n := range options.Groups[g].Routes {
			if r := &options.Groups[g].Routes[n]; options.Groups[g].General {
				general[r.Method+" "+options.Groups[g].Path(r)] = true
			}
		}
	}
	return func(r *http.Request) http.Handler {
		if options.Elsewhere == nil {
			return nil
		}
		found := options.Elsewhere.For(r)
		if found == nil {
			return nil
		}
		if _, pattern := mux.Handler(r); !general[pattern] {
			return nil
		}
		return found
	}
}

// byteByByte gives paths that go on below a proxy subresource to Kubernetes as
// they are: the mux would redirect those it does not find tidy.
func byteByByte(mux, kubernetes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if info := request.InfoFrom(r.Context()); info != nil && info.Below && kubernetes != nil {
			r.Pattern = "/" + info.APIPrefix + "/"
			kubernetes.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// lasting returns the operation a request is for if it streams changes, changes
// to another protocol or moves files; nil for others.
func lasting(mux *http.ServeMux, groups []route.Group) func(*http.Request) *route.Route {
	routes := make(map[string]*route.Route)
	for g := range groups {
		for n := range groups[g].Routes {
			if r := &groups[g].Routes[n]; r.Watchable || r.Upgrades || r.Transfers {
				routes[r.Method+" "+groups[g].Path(r)] = r
			}
		}
	}
	return func(r *http.Request) *route.Route {
		_, pattern := mux.Handler(r)
		return routes[pattern]
	}
}

func (s *Server) listen(ctx context.Context) (err error) {
	c := s.options.Config
	if c.SecurePort != 0 {
		shown := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: s.options.Certificate}
		if c.TLSCertFile != "" {
			certificate, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSPrivateKey)
			if err != nil {
				return fmt.Errorf("TLS certificate: %w", err)
			}
			shown.Certificates, shown.GetCertificate = []tls.Certificate{certificate}, nil
		}
		listener, err := listen(ctx, c.BindAddress, c.SecurePort, "--secure-port")
		if err != nil {
			return err
		}
		s.encrypted = tls.NewListener(listener, shown)
	}
	// Port 0 turns the plain port off only when there is another one.
	if c.InsecurePort != 0 || c.SecurePort == 0 {
		s.plain, err = listen(ctx, c.BindAddress, c.InsecurePort, "--insecure-port")
	}
	return err
}

func listen(ctx context.Context, address string, port int, flag string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("port %d cannot be used, choose another with %s: %w", port, flag, err)
	}
	return listener, nil
}

func (s *Server) close() {
	for _, listener := range []net.Listener{s.plain, s.encrypted} {
		if listener != nil {
			_ = listener.Close()
		}
	}
}

// Address is where the server listens without TLS, nil if it does not.
func (s *Server) Address() net.Addr {
	if s.plain == nil {
		return nil
	}
	return s.plain.Addr()
}

// Run serves until the context ends: then it says so on /readyz, finishes the
// requests in flight within the configured time, and returns.
func (s *Server) Run(ctx context.Context) error {
	var servers []*http.Server
	failed := make(chan error, 2)
	var running sync.WaitGroup
	for _, listener := range []net.Listener{s.plain, s.encrypted} {
		if listener == nil {
			continue
		}
		server := &http.Server{
			Handler: s.handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
			HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: stalledTimeout, SendPingTimeout: silenceTimeout, PingTimeout: pingTimeout},
			ConnContext: s.connections.context, ConnState: s.connections.state,
		}
		servers = append(servers, server)
		running.Go(func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	close(s.stopping)
	s.stop() // clients watch another replica
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.options.Config.ShutdownTimeout.Duration)
	defer cancel()
	for _, server := range servers { // at once: both have the whole time
		running.Go(func() {
			if shutdown := server.Shutdown(grace); shutdown != nil {
				_ = server.Close() // what did not finish in time
			}
		})
	}
	running.Wait()
	return err
}
