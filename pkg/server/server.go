package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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
	// Kubernetes serves /api and /apis, but for the operations of groups that are there; nil
	// for nobody.
	Kubernetes http.Handler
	// Elsewhere serves what neither the groups nor Kubernetes do; nil for nobody.
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
	container   *route.Container
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
	if s.container, err = route.NewContainer(append(slices.Clone(options.Groups), s.own()...)...); err != nil {
		return nil, err
	}
	proxies, err := trusted(options.Config.TrustedProxies)
	if err != nil {
		return nil, err
	}
	s.handler = &filters{
		proxies:   proxies,
		container: s.container, kubernetes: options.Kubernetes, authenticator: options.Authenticator, authorizer: options.Authorizer, namespaceOf: options.DevOpsNamespace, ownerOf: options.OwnerOf, stillAllowed: options.StillAllowed,
		metrics: m, admission: admission,
		watches: s.watches, elsewhere: options.Elsewhere, readsBody: options.ReadsBody,
		crossOrigin: newCrossOrigin(options.Groups), refusals: newRefusalLog(),
	}
	if err := s.listen(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Container are the operations that are served.
func (s *Server) Container() *route.Container { return s.container }

// own are the operations of every server.
func (s *Server) own() []route.Group {
	stopping := Check{Name: "shutdown", Err: func() error {
		select {
		case <-s.stopping:
			return errors.New("the server is stopping")
		default:
			return nil
		}
	}}
	return []route.Group{HealthGroup(append([]Check{stopping}, s.options.Ready...)), MetricsGroup(s.options.Registry)}
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
