//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/util/cert"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/super-kubenetes/ks-apiserver/pkg/app"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
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
	ctrllog.SetLogger(logr.FromSlogHandler(slog.Default().Handler()))
	var err error
	if shared, err = startTLS(); err == nil {
		err = shared.waitReady(60 * time.Second)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "stopping:", err)
		code = 1
	}
	os.Exit(code)
}

// startTLS starts a server that also speaks HTTPS: kubectl sends tokens to
// nothing else.
func startTLS() (*instance, error) {
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
	i := &instance{cancel: cancel, done: make(chan error, 1)}
	listening := make(chan net.Addr, 1)
	go func() {
		i.done <- app.Run(ctx, app.Options{Config: c, Listening: func(address net.Addr) { listening <- address }})
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
	case <-time.After(30 * time.Second):
		return fmt.Errorf("the server does not stop")
	}
}

func (i *instance) waitReady(timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		response, err := http.Get(i.url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %v", i.url, timeout, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// run starts a server for one test.
func run(t *testing.T, change func(*config.Config)) *instance {
	t.Helper()
	i, err := start(change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := i.stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	return i
}
