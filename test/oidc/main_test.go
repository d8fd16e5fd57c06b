package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// Who the server of the tests knows.
const (
	username, password = "admin", "P@88w0rd"
	confidential       = "app"
	confidentialSecret = "a secret of the app"
	public             = "native"
	service            = "service"
	serviceSecret      = "a secret of the service"
)

// algorithms are those every flow is completed with.
var algorithms = []string{"ES256", "RS256", "EdDSA"}

// application is the web server of an application, which a test gives its
// handlers.
type application struct {
	*httptest.Server
	mux *http.ServeMux
}

func newApplication(t *testing.T) *application {
	t.Helper()
	mux := http.NewServeMux()
	a := &application{httptest.NewServer(mux), mux}
	t.Cleanup(a.Close)
	return a
}

func (a *application) callback() string { return a.URL + "/callback" }

// startServer runs ks-apiserver for an application and returns its issuer, a
// path below which everything is: the proxy in front of it takes it away.
func startServer(t *testing.T, algorithm string, a *application) string {
	t.Helper()
	if os.Getenv("KUBECONFIG") == "" {
		t.Fatal("KUBECONFIG is not set: run make test-oidc")
	}
	issuer, port := newProxy(t)
	client := func(name, secret string, more map[string]any) map[string]any {
		c := map[string]any{"name": name, "secret": secret, "grantMethod": "prompt", "redirectURIs": []string{a.callback()}, "postLogoutRedirectURIs": []string{a.URL + "/bye"}}
		for key, value := range more {
			c[key] = value
		}
		return c
	}
	configuration, err := json.Marshal(map[string]any{
		"authentication": map[string]any{
			"adminPassword": password,
			"oauthOptions": map[string]any{"issuer": issuer, "signingAlgorithm": algorithm, "clients": []any{
				client(confidential, confidentialSecret, nil), client(public, "", nil), client(service, serviceSecret, map[string]any{"user": username}),
			}},
		},
		"server": map[string]any{"bindAddress": "127.0.0.1", "insecurePort": port},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubesphere.yaml")
	if err := os.WriteFile(file, configuration, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, "../../bin/ks-apiserver", "--config", file)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = command.Wait()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", content)
		}
	})
	wait.For(t, "the server to be ready", func() error {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", port))
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
	waitForKey(t, issuer, algorithm)
	return issuer
}

// waitForKey waits until tokens are signed with an algorithm: the cluster may
// have keys of another, and switching takes until verifiers have seen the new one.
func waitForKey(t *testing.T, issuer, algorithm string) {
	t.Helper()
	response, err := http.Get(issuer + "/oauth/keys")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var set struct {
		Keys []struct{ Alg string }
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil || len(set.Keys) != 1 || set.Keys[0].Alg != algorithm {
		t.Fatalf("keys %+v, %v", set, err)
	}
}

// forgetKeys deletes the signing keys of the cluster.
func forgetKeys(t *testing.T) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", "delete", "secret", "--namespace", "kubesphere-system", "ks-apiserver-signing-keys", "--ignore-not-found").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port
}
