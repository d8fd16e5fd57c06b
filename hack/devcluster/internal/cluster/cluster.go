package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/controlplane"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/etcd"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/kubelet"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/pki"
)

const (
	// startTimeout is for a cluster without a seed, timeoutPerPod comes on top.
	startTimeout  = 3 * time.Minute
	timeoutPerPod = 10 * time.Millisecond
	gcPercent     = 50
	// Together these stay well under the five seconds a stop may take. Stopping
	// more gracefully has no use: what was acknowledged is on disk.
	clientsStopTimeout = 500 * time.Millisecond
	serverStopTimeout  = time.Second
	etcdStopTimeout    = 2 * time.Second
)

// Options describe a cluster.
type Options struct {
	// DataDir keeps everything: certificates, etcd's data, the log.
	DataDir string
	// Port of kube-apiserver on loopback, 0 for any that is free.
	Port int
	// Kubeconfig is where to write the administrator's, besides the data directory.
	Kubeconfig string
	// Nodes is the number of nodes KWOK plays the kubelet of.
	Nodes int
	// Pods is the number of pods to seed the cluster with.
	Pods int
	// UnsafeNoFsync makes etcd faster and acknowledged writes volatile.
	UnsafeNoFsync bool
	// APIServerArgs are further flags of kube-apiserver.
	APIServerArgs []string
	// Progress is told what happens.
	Progress func(format string, args ...any)
}

// Cluster is a running cluster.
type Cluster struct {
	opts       Options
	lock       *os.File
	log        *os.File
	listener   net.Listener
	pki        *pki.Store
	etcd       *etcd.Server
	kubelet    *kubelet.Server
	server     *group
	clients    *group
	admin      kubernetes.Interface
	kubeconfig string
}

// Start starts a cluster and returns when it is ready. The cluster outlives
// ctx: end it with Stop.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	// Of 100,000 pods the components keep several copies. Go's default would
	// let the garbage double all that.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	c := &Cluster{opts: opts}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// Address is the URL of kube-apiserver.
func (c *Cluster) Address() string { return "https://" + c.listener.Addr().String() }

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *Cluster) Kubeconfig() string { return c.kubeconfig }

// Failed reports a part that ended although nobody stopped it.
func (c *Cluster) Failed() <-chan error { return c.server.failed }

func (c *Cluster) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout+time.Duration(c.opts.Pods)*timeoutPerPod)
	defer cancel()
	// The components do not follow ctx: the end of a start, or a signal, must
	// not take them away from under each other.
	lasting := context.WithoutCancel(ctx)
	failed := make(chan error, 1)
	c.server = newGroup(lasting, failed)
	c.clients = newGroup(lasting, failed)

	steps := []func(context.Context) error{
		c.prepare,
		c.bindKubelet,
		c.startEtcd,
		c.seedStorage,
		c.startAPIServer,
		c.startClients,
		c.install,
		c.seedAPI,
		c.publish,
	}
	for _, step := range steps {
		if err := c.watchFailure(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// watchFailure runs a step, but gives up as soon as a component has failed.
func (c *Cluster) watchFailure(ctx context.Context, step func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan error, 1)
	go func() { done <- step(ctx) }()
	select {
	case err := <-done:
		return err
	case err := <-c.server.failed:
		cancel(err)
		<-done
		return err
	}
}

// prepare takes hold of what only one process can have: the data and the port.
func (c *Cluster) prepare(context.Context) error {
	if err := os.MkdirAll(c.opts.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	lock, err := os.OpenFile(c.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("lock the data directory: %w", err)
	}
	c.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another devcluster (choose one with --data-dir): %w",
			c.opts.DataDir, err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(c.opts.Port))
	c.listener, err = net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is taken; choose another with --port, or 0 for any that is free: %w", c.opts.Port, err)
	}
	if err != nil {
		return fmt.Errorf("listen on %s (see --port): %w", address, err)
	}
	c.log, err = os.OpenFile(c.path("devcluster.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	if err := controlplane.RedirectLogs(c.log); err != nil {
		return err
	}
	c.pki, err = pki.Ensure(c.path("pki"))
	if err != nil {
		return err
	}
	c.kubeconfig = c.path("kubeconfig")
	return nil
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	c.opts.Progress("starting etcd")
	var err error
	c.etcd, err = etcd.Start(ctx, etcd.Options{
		Dir:           c.path("etcd"),
		Log:           c.log,
		UnsafeNoFsync: c.opts.UnsafeNoFsync,
	})
	return err
}

// Stop ends everything in the order that lets nobody miss what he needs.
func (c *Cluster) Stop() {
	if c.clients != nil {
		c.clients.stop(clientsStopTimeout)
	}
	if c.server != nil {
		c.server.stop(serverStopTimeout)
	}
	if c.etcd != nil {
		c.etcd.Stop(etcdStopTimeout)
	}
	// Errors of closing have no consequence: nothing is written any more.
	if c.listener != nil {
		_ = c.listener.Close()
	}
	if c.lock != nil {
		_ = c.lock.Close()
	}
}

func (c *Cluster) path(name string) string { return filepath.Join(c.opts.DataDir, name) }
