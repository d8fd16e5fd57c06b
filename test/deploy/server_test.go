package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	// stopTimeout is more than the server takes to finish its requests.
	stopTimeout   = wait.Timeout
	adminPassword = "P@88w0rd-of-a-test"
)

// TestServerWithTheseRights runs the real server with the configuration and the
// ServiceAccount that were deployed: the pods of a development cluster only play
// that they run. A right the server learnt to need and the deployment doesn't give
// shows here.
func TestServerWithTheseRights(t *testing.T) {
	// The way to choose admin's password that the base describes.
	kubectl(t, "-n", namespace, "create", "secret", "generic", "ks-admin-password",
		"--from-literal=password="+adminPassword)
	server := start(t)
	server.waitReady(t)

	response, err := http.PostForm(server.url+"/oauth/token", url.Values{
		"grant_type": {"password"}, "username": {"admin"}, "password": {adminPassword},
		"client_id": {"kubesphere"}, "client_secret": {"kubesphere"},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("log in: %s, %v\n%s", response.Status, err, body)
	}

	server.stop(t)
	for line := range strings.Lines(server.log.String()) {
		if strings.Contains(strings.ToLower(line), "forbidden") {
			t.Errorf("a right is missing: %s", line)
		}
	}
}

// process is a running server.
type process struct {
	url  string
	log  *bytes.Buffer // to be read after stop
	cmd  *exec.Cmd
	done chan error
}

// freePort is one nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs the server on free ports, one of them secure as that of the pods.
func start(t *testing.T) *process {
	t.Helper()
	port := freePort(t)
	p := &process{url: "http://127.0.0.1:" + port, log: &bytes.Buffer{}, done: make(chan error, 1)}
	p.cmd = exec.Command(serverPath, "--config", deployedConfig(t), "--kubeconfig", accountKubeconfig(t),
		"--bind-address", "127.0.0.1", "--insecure-port", port, "--secure-port", freePort(t))
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() {
		// After stop it is no more, and this does nothing.
		_ = p.cmd.Process.Kill()
		if t.Failed() {
			select {
			case <-p.done: //nolint:errcheck // it was killed
			case <-time.After(time.Second): // stop has received it
			}
			t.Logf("the log of the server:\n%s", p.log)
		}
	})
	return p
}

// waitReady waits for /readyz, which Kubernetes asks before it sends requests.
func (p *process) waitReady(t *testing.T) {
	t.Helper()
	wait.For(t, "the server to be ready", func() error {
		select {
		case err := <-p.done:
			t.Fatalf("the server ended: %v\n%s", err, p.log)
		default:
		}
		status, body, err := get(t.Context(), p.url+"/readyz?verbose")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
}

// stop ends the server as Kubernetes does.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.done:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(stopTimeout):
		t.Fatalf("the server does not end within %s of SIGTERM", stopTimeout)
	}
}

func get(ctx context.Context, address string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	text, err := io.ReadAll(response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	return response.StatusCode, string(text), err
}

// deployedConfig is a file with the configuration the pods mount.
func deployedConfig(t *testing.T) string {
	t.Helper()
	return write(t, "kubesphere.yaml", kubectl(t, "-n", namespace, "get", "configmap", "kubesphere-config",
		"-o", `jsonpath={.data.kubesphere\.yaml}`))
}

// accountKubeconfig is a kubeconfig with the rights of the server's ServiceAccount.
func accountKubeconfig(t *testing.T) string {
	t.Helper()
	token := kubectl(t, "-n", namespace, "create", "token", "ks-apiserver")
	cluster := func(field string) string {
		return kubectl(t, "config", "view", "--minify", "--flatten", "-o", "jsonpath={.clusters[0].cluster."+field+"}")
	}
	return write(t, "kubeconfig", fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: account
contexts:
- name: account
  context: {cluster: this, user: account}
clusters:
- name: this
  cluster: {server: %q, certificate-authority-data: %q}
users:
- name: account
  user: {token: %q}
`, cluster("server"), cluster("certificate-authority-data"), strings.TrimSpace(token)))
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
