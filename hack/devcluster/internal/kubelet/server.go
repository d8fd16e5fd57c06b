package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const (
	// idleTimeout ends sessions in which nothing happens.
	idleTimeout = 4 * time.Hour
	// streamTimeout is how long a client may take to open its streams.
	streamTimeout = 30 * time.Second
)

// Pods finds the pod a request is about.
type Pods interface {
	Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error)
}

// Files are the PEM files the server identifies itself and its client with.
type Files struct {
	Cert, Key, ClientCA string
}

// Server answers for the kubelets of all nodes.
type Server struct {
	pods     Pods
	listener net.Listener
	http     *http.Server
	disks    disks
}

// New binds a port on loopback: the preferred one, which the nodes may know
// from before, or else any that is free.
func New(pods Pods, files Files, preferred int) (*Server, error) {
	config, err := tlsConfig(files)
	if err != nil {
		return nil, fmt.Errorf("TLS of the kubelet: %w", err)
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(preferred)), config)
	if err != nil && preferred != 0 {
		listener, err = tls.Listen("tcp", "127.0.0.1:0", config)
	}
	if err != nil {
		return nil, fmt.Errorf("bind a port for the kubelet: %w", err)
	}
	s := &Server{pods: pods, listener: listener}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.withPod(s.logs))
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		mux.HandleFunc(method+" /exec/{namespace}/{pod}/{container}", s.withPod(s.exec))
		mux.HandleFunc(method+" /attach/{namespace}/{pod}/{container}", s.withPod(s.attach))
		mux.HandleFunc(method+" /portForward/{namespace}/{pod}", s.withPod(s.portForward))
	}
	s.http = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: streamTimeout,
		ErrorLog:          log.Default(),
		// Streams take over their connection, which HTTP/2 cannot give away.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	return s, nil
}

// Port is where it listens.
func (s *Server) Port() int {
	if address, ok := s.listener.Addr().(*net.TCPAddr); ok {
		return address.Port
	}
	return 0
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	s.http.BaseContext = func(net.Listener) context.Context { return ctx }
	stop := context.AfterFunc(ctx, func() { _ = s.http.Close() })
	defer stop()
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the kubelet: %w", err)
	}
	return nil
}

// withPod looks up the pod and refuses containers it does not have.
func (s *Server) withPod(handle func(http.ResponseWriter, *http.Request, *corev1.Pod)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pod, err := s.pods.Pod(r.Context(), r.PathValue("namespace"), r.PathValue("pod"))
		switch {
		case apierrors.IsNotFound(err):
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if container := r.PathValue("container"); container != "" && findContainer(pod, container) == nil {
			http.Error(w, fmt.Sprintf("container %q not found in pod %q", container, pod.Name), http.StatusNotFound)
			return
		}
		handle(w, r, pod)
	}
}

func (s *Server) exec(w http.ResponseWriter, r *http.Request, pod *corev1.Pod) {
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeExec(lingering{w}, r, &toyContainer{pod: pod, disks: &s.disks}, pod.Name, string(pod.UID), r.PathValue("container"),
		r.Form["command"], opts, idleTimeout, streamTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request, pod *corev1.Pod) {
	opts, err := remotecommand.NewOptions(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	remotecommand.ServeAttach(lingering{w}, r, &toyContainer{pod: pod, disks: &s.disks}, pod.Name, string(pod.UID), r.PathValue("container"),
		opts, idleTimeout, streamTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) portForward(w http.ResponseWriter, r *http.Request, pod *corev1.Pod) {
	opts, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, &toyContainer{pod: pod, disks: &s.disks}, pod.Name, string(pod.UID),
		opts, idleTimeout, streamTimeout, portforward.SupportedProtocols)
}

func findContainer(pod *corev1.Pod, name string) *corev1.Container {
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == name {
			return &pod.Spec.Containers[i]
		}
	}
	for i := range pod.Spec.InitContainers {
		if pod.Spec.InitContainers[i].Name == name {
			return &pod.Spec.InitContainers[i]
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		if pod.Spec.EphemeralContainers[i].Name == name {
			c := corev1.Container(pod.Spec.EphemeralContainers[i].EphemeralContainerCommon)
			return &c
		}
	}
	return nil
}

func tlsConfig(files Files) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", files.ClientCA)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
		// Only kube-apiserver has a reason to come here.
		ClientAuth: tls.RequireAndVerifyClientCert,
		ClientCAs:  pool,
	}, nil
}
