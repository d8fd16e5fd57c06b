package cluster

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/controlplane"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/kubelet"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/kwoknodes"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/pki"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/provisioner"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/seed"
	"github.com/super-kubenetes/ks-apiserver/hack/devcluster/internal/snapshotcrds"
)

// pollInterval is how often the start looks whether something is ready yet.
const pollInterval = 50 * time.Millisecond

func (c *Cluster) startAPIServer(ctx context.Context) error {
	c.opts.Progress("starting kube-apiserver")
	server := &controlplane.APIServer{
		Listener:     c.listener,
		EtcdEndpoint: c.etcd.Endpoint(),
		PKI:          c.pki,
		ExtraArgs:    c.opts.APIServerArgs,
	}
	c.server.start("kube-apiserver", server.Run)

	for file, client := range map[string]string{
		"kubeconfig":                    pki.Admin,
		"controller-manager.kubeconfig": pki.ControllerManager,
		"scheduler.kubeconfig":          pki.Scheduler,
		"kwok.kubeconfig":               pki.Kwok,
	} {
		if err := c.pki.WriteKubeconfig(c.path(file), c.Address(), client); err != nil {
			return err
		}
	}
	config, err := c.restConfig()
	if err != nil {
		return err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	c.admin, err = kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client of kube-apiserver: %w", err)
	}
	return c.waitAPIServer(ctx)
}

// restConfig is for the cluster's own setting up: without a rate limit.
func (c *Cluster) restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.path("kwok.kubeconfig"))
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config.RateLimiter = flowcontrol.NewFakeAlwaysRateLimiter()
	config.UserAgent = "devcluster"
	return config, nil
}

func (c *Cluster) waitAPIServer(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		var status int
		c.admin.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(ctx).StatusCode(&status)
		return status == http.StatusOK, nil
	})
	if err != nil {
		return fmt.Errorf("wait for kube-apiserver (its log is %s): %w", c.path("devcluster.log"), err)
	}
	return nil
}

// bindKubelet makes the kubelet, so that its port is known to whoever writes
// nodes. Nobody asks it for a pod before kube-apiserver runs.
func (c *Cluster) bindKubelet(context.Context) error {
	portFile := c.path("kubelet-port")
	// Any port will do if there is no old one.
	old, _ := os.ReadFile(portFile)
	preferred, _ := strconv.Atoi(string(old))
	server, err := kubelet.New(podGetter{c}, kubelet.Files{
		Cert:     c.pki.Cert(pki.Kubelet),
		Key:      c.pki.Key(pki.Kubelet),
		ClientCA: c.pki.Cert(pki.CA),
	}, preferred)
	if err != nil {
		return err
	}
	c.kubelet = server
	if err := os.WriteFile(portFile, []byte(strconv.Itoa(server.Port())), 0o600); err != nil {
		return fmt.Errorf("remember the kubelet's port: %w", err)
	}
	return nil
}

// startClients starts everything that talks to kube-apiserver.
func (c *Cluster) startClients(ctx context.Context) error {
	c.opts.Progress("starting kube-controller-manager, kube-scheduler and %d nodes", c.opts.Nodes)
	manager := &controlplane.ControllerManager{
		Kubeconfig: c.path("controller-manager.kubeconfig"),
		PKI:        c.pki,
		PluginDir:  c.path("volume-plugins"),
	}
	c.clients.start("kube-controller-manager", manager.Run)
	scheduler := &controlplane.Scheduler{Kubeconfig: c.path("scheduler.kubeconfig")}
	c.clients.start("kube-scheduler", scheduler.Run)

	c.clients.start("kubelet", c.kubelet.Run)
	static, err := kwoknodes.Ensure(ctx, c.admin, c.opts.Nodes, c.kubelet.Port())
	if err != nil {
		return err
	}
	if static {
		config, err := c.restConfig()
		if err != nil {
			return err
		}
		client, err := metadata.NewForConfig(config)
		if err != nil {
			return fmt.Errorf("client for metadata: %w", err)
		}
		c.clients.start("reaper", kwoknodes.NewReaper(client).Run)
	}
	err = kwoknodes.Start(c.clients.ctx, kwoknodes.Options{
		Kubeconfig:  c.path("kwok.kubeconfig"),
		KubeletPort: c.kubelet.Port(),
		Log:         c.log,
	})
	if err != nil {
		return err
	}
	c.clients.start("provisioner", provisioner.New(c.admin).Run)
	return nil
}

// install adds what a usual cluster has besides the control plane, and waits
// until pods can be created and run.
func (c *Cluster) install(ctx context.Context) error {
	config, err := c.restConfig()
	if err != nil {
		return err
	}
	if err := snapshotcrds.Install(ctx, config); err != nil {
		return err
	}
	if err := provisioner.InstallStorageClass(ctx, c.admin); err != nil {
		return err
	}
	if err := kwoknodes.WaitReady(ctx, c.admin, c.opts.Nodes); err != nil {
		return err
	}
	// Without this account admission refuses every pod.
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		_, err := c.admin.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the default service account: %w", err)
	}
	return nil
}

func (c *Cluster) seedStorage(ctx context.Context) error {
	return seed.Storage(ctx, c.etcd.Client(), seed.Options{
		Pods: c.opts.Pods, KubeletPort: c.kubelet.Port(), Progress: c.opts.Progress,
	})
}

func (c *Cluster) seedAPI(ctx context.Context) error {
	return seed.API(ctx, c.etcd.Client(), c.admin, seed.Options{
		Pods: c.opts.Pods, KubeletPort: c.kubelet.Port(), Progress: c.opts.Progress,
	})
}

// publish writes the kubeconfig asked for, last of all: its existence says
// that the cluster is ready.
func (c *Cluster) publish(context.Context) error {
	if c.opts.Kubeconfig == "" {
		return nil
	}
	c.kubeconfig = c.opts.Kubeconfig
	return c.pki.WriteKubeconfig(c.kubeconfig, c.Address(), pki.Admin)
}

// podGetter finds pods for the kubelet.
type podGetter struct {
	cluster *Cluster
}

func (p podGetter) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return p.cluster.admin.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}
