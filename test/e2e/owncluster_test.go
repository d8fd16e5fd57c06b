//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// clusterStartTimeout is for a cluster to start while others work.
const clusterStartTimeout = 3 * time.Minute

// cluster is an embedded Kubernetes of one test.
type cluster struct {
	dir, kubeconfig string
	port            string
	args            []string // further ones of devcluster
	process         *exec.Cmd
}

// newCluster prepares a cluster that ends with the test.
func newCluster(t *testing.T, args ...string) *cluster {
	t.Helper()
	logs.showOnFailure(t)
	k := &cluster{dir: t.TempDir(), port: "0", args: args}
	k.kubeconfig = filepath.Join(k.dir, "kubeconfig")
	t.Cleanup(k.stop)
	return k
}

// ownCluster starts a cluster and a server in front of it for one test: one that
// looks at everything on the cluster, or changes what other tests rely on.
func ownCluster(t *testing.T, args ...string) *instance {
	t.Helper()
	k := newCluster(t, args...)
	k.start(t)
	i, err := startTLS(func(c *config.Config) { c.Kubernetes.KubeConfig = k.kubeconfig })
	if err != nil {
		t.Fatal(err)
	}
	stopWithTest(t, i)
	if err := i.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	return i
}

// start starts the cluster, the second time with the data and the port of the
// first.
func (k *cluster) start(t *testing.T) {
	t.Helper()
	_ = os.Remove(k.kubeconfig)
	k.process = exec.Command("../../bin/devcluster", append([]string{"--quiet", "--unsafe-no-fsync", "--nodes", "1", "--data-dir", filepath.Join(k.dir, "data"), "--kubeconfig", k.kubeconfig, "--port", k.port}, k.args...)...)
	k.process.Stderr = logs
	if err := k.process.Start(); err != nil {
		t.Fatal(err)
	}
	wait.ForUpTo(t, clusterStartTimeout, "the cluster to start", func() error {
		content, err := os.ReadFile(k.kubeconfig)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if _, address, found := strings.Cut(line, "https://"); found {
				k.port = strings.TrimSpace(address[strings.LastIndex(address, ":")+1:])
				return nil
			}
		}
		return fmt.Errorf("the kubeconfig has no address: %s", content)
	})
}

// kill ends the cluster as a crash does.
func (k *cluster) kill() { k.end(syscall.SIGKILL) }

func (k *cluster) stop() { k.end(syscall.SIGTERM) }

func (k *cluster) end(signal syscall.Signal) {
	if k.process != nil && k.process.Process != nil {
		_ = k.process.Process.Signal(signal)
		_ = k.process.Wait()
		k.process = nil
	}
}

// installKubeSphere makes the cluster one that has KubeSphere 3.4.
func (k *cluster) installKubeSphere(t *testing.T) {
	t.Helper()
	for _, file := range []string{"crds.yaml", "objects.yaml"} {
		wait.For(t, "KubeSphere's "+file+" to be applied", func() error {
			output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", "--kubeconfig", k.kubeconfig, "apply", "--server-side", "-f", "testdata/kubesphere-3.4/"+file).CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w\n%s", err, output)
			}
			return nil
		})
	}
}
