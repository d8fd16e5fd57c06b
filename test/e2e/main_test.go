//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// adminPassword is the password of user admin on every cluster of the tests.
const adminPassword = "P@88w0rd"

// shared is the server most tests use.
var shared *instance

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		fmt.Fprintln(os.Stderr, "KUBECONFIG is not set: run make test-e2e")
		os.Exit(1)
	}
	logs.install()
	code, err := runTests(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code != 0 {
		logs.save(os.Stderr)
	}
	os.Exit(code)
}

// runTests runs all tests with the shared server, and waits until what they
// deleted is gone.
func runTests(m *testing.M) (code int, err error) {
	if err := applyPolicies(os.Getenv("KUBECONFIG")); err != nil {
		return 0, err
	}
	if shared, err = startTLS(func(*config.Config) {}); err != nil {
		return 0, err
	}
	if err := shared.waitReady(wait.Timeout); err != nil {
		return 0, err
	}
	code = m.Run()
	if err := waitForTerminatingNamespaces(shared.kubeconfig); err != nil {
		return code, err
	}
	if err := shared.stop(); err != nil {
		return code, fmt.Errorf("stopping: %w", err)
	}
	if code != 0 {
		return code, nil
	}
	return code, checkUsedRights()
}

// startTLS starts a server that also speaks HTTPS: kubectl sends tokens to
// nothing else.
func startTLS(change func(*config.Config)) (*instance, error) {
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ks-apiserver-e2e")
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"tls.crt": certificate, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	plain, err := freePort()
	if err != nil {
		return nil, err
	}
	i, err := start(func(c *config.Config) {
		change(c)
		c.Server.InsecurePort = plain
		c.Server.SecurePort, c.Server.TLSCertFile, c.Server.TLSPrivateKey = port, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		c.Terminal.Kubectl.Server, c.Terminal.Kubectl.CertificateAuthority = fmt.Sprintf("https://127.0.0.1:%d", port), filepath.Join(dir, "tls.crt")
	})
	if err == nil {
		i.secure, i.certificate = fmt.Sprintf("https://127.0.0.1:%d", port), filepath.Join(dir, "tls.crt")
	}
	return i, err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// instance is a running ks-apiserver.
type instance struct {
	url         string
	secure      string // the same over HTTPS
	certificate string // file of the certificate for it
	kubeconfig  string // file of the kubeconfig of the cluster behind it
	cancel      context.CancelFunc
	done        chan error
}

// start runs a server in this process, as the command would.
func start(change func(*config.Config)) (*instance, error) {
	c := config.Default()
	c.Server.BindAddress, c.Server.InsecurePort = "127.0.0.1", 0
	c.Kubernetes.KubeConfig = os.Getenv("KUBECONFIG")
	c.Authentication.AdminPassword = adminPassword
	// The tests log in wrongly all the time, all from one address.
	c.Authentication.AuthenticateRateLimiterMaxTries = 10000
	change(c)
	ctx, cancel := context.WithCancel(context.Background())
	i := &instance{kubeconfig: c.Kubernetes.KubeConfig, cancel: cancel, done: make(chan error, 1)}
	var err error
	if c.Kubernetes.KubeConfig, err = asAccount(c.Kubernetes.KubeConfig); err != nil {
		cancel()
		return nil, err
	}
	listening := make(chan net.Addr, 1)
	go func() {
		i.done <- app.Run(ctx, app.Options{Config: c, Listening: func(address net.Addr) { listening <- address }, Transport: usedRights.wrap})
	}()
	select {
	case address := <-listening:
		i.url = "http://" + address.String()
		return i, nil
	case err := <-i.done:
		cancel()
		return nil, fmt.Errorf("starting: %w", err)
	}
}

func (i *instance) stop() error {
	i.cancel()
	select {
	case err := <-i.done:
		return err
	case <-time.After(wait.Timeout):
		return fmt.Errorf("the server does not stop within %s", wait.Timeout)
	}
}

// waitReady waits until /readyz is 200, for a minute or longer.
func (i *instance) waitReady(timeout time.Duration) error {
	return wait.Poll(max(timeout, wait.Timeout), func() error {
		response, err := http.Get(i.url + "/readyz?verbose")
		if err != nil {
			return fmt.Errorf("%s is not ready: %w", i.url, err)
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(response.Body)
			return fmt.Errorf("%s is not ready: %d %s", i.url, response.StatusCode, body)
		}
		return nil
	})
}

// run starts a server for one test.
func run(t *testing.T, change func(*config.Config)) *instance {
	t.Helper()
	logs.showOnFailure(t)
	i, err := start(change)
	if err != nil {
		t.Fatal(err)
	}
	stopWithTest(t, i)
	return i
}

func stopWithTest(t *testing.T, i *instance) {
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
}
