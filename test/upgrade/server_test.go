package upgrade

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const adminPassword = "P@88w0rd"

// readyTimeout bounds the start of a server, also on a loaded machine.
const readyTimeout = 2 * time.Minute

// server is a running replica.
type server struct {
	url, secureURL string
	stop           func()
}

// applyAccount applies what the manifests of this tree say of the account of the server,
// and returns its kubeconfig.
func applyAccount(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "account")
	if output, err := exec.CommandContext(t.Context(), "../../hack/account/kubeconfig.sh", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return file
}

// startServer runs a binary over the cluster of a kubeconfig until stop is called or the
// test ends.
func startServer(t *testing.T, binary, kubeconfig string) *server {
	t.Helper()
	port, securePort := freePort(t), freePort(t)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	command := exec.CommandContext(ctx, binary, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1",
		"--insecure-port", fmt.Sprint(port), "--secure-port", fmt.Sprint(securePort))
	command.Env = append(os.Environ(), "KUBESPHERE_ADMIN_PASSWORD="+adminPassword)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Stderr = log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", port), secureURL: fmt.Sprintf("https://127.0.0.1:%d", securePort)}
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		_ = command.Wait()
	}
	t.Cleanup(func() {
		s.stop()
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s:\n%s", binary, content)
		}
	})
	waitFor(t, binary+" is ready", func() error {
		response, err := http.Get(s.url + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(response.Body)
			return fmt.Errorf("%d %s", response.StatusCode, body)
		}
		return nil
	})
	return s
}

// waitFor waits until a condition holds and says what it last saw if it never does.
func waitFor(t *testing.T, condition string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(readyTimeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s until %s; last: %v", readyTimeout, condition, err)
		}
		time.Sleep(50 * time.Millisecond)
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

// tokens is an answer of the token endpoint.
type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// grant asks a replica for tokens by the form given as key, value, ….
func (s *server) grant(t *testing.T, pairs ...string) (tokens, int) {
	t.Helper()
	form := url.Values{"client_id": {"kubesphere"}, "client_secret": {"kubesphere"}}
	for n := 0; n+1 < len(pairs); n += 2 {
		form.Set(pairs[n], pairs[n+1])
	}
	response, err := http.PostForm(s.url+"/oauth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer tokens
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer, response.StatusCode
}

// login returns the tokens of a password login.
func (s *server) login(t *testing.T, user, password string) tokens {
	t.Helper()
	answer, code := s.grant(t, "grant_type", "password", "username", user, "password", password)
	if code != http.StatusOK || answer.AccessToken == "" || answer.RefreshToken == "" {
		t.Fatalf("login of %s at %s: %d", user, s.url, code)
	}
	return answer
}

// call makes a request with a bearer token and returns the status code and the body.
func (s *server) call(t *testing.T, token, method, path string, body any) (int, []byte) {
	t.Helper()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, content)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

// expect makes a request and fails the test if the status code is another one.
func (s *server) expect(t *testing.T, code int, token, method, path string, body any) []byte {
	t.Helper()
	got, answer := s.call(t, token, method, path, body)
	if got != code {
		t.Fatalf("%s %s%s: %d, not %d: %s", method, s.url, path, got, code, answer)
	}
	return answer
}

// kubectl runs kubectl with a kubeconfig against a replica and returns its output.
func (s *server) kubectl(t *testing.T, kubeconfig string, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"--kubeconfig", file, "--server", s.secureURL, "--insecure-skip-tls-verify"}, args...)
	output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", args...).CombinedOutput()
	return strings.TrimSpace(string(output)), err
}
