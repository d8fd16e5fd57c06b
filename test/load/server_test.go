//go:build load

package load

import (
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
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	adminPassword = "P@88w0rd"
	viewer        = "/kapis/resources.kubesphere.io/v1alpha3"
	page          = viewer + "/pods?limit=10"
)

// process is the server as a process of its own.
type process struct {
	pid     int
	url     string
	address string
	stop    func()
}

// start runs the server until the test ends.
func start(t *testing.T) *process {
	t.Helper()
	return startWith(t, os.Getenv("KUBECONFIG"))
}

// startWith runs the server as a user of the cluster until it is stopped or the test ends.
func startWith(t *testing.T, kubeconfig string) *process {
	t.Helper()
	binary, err := filepath.Abs("../../bin/ks-apiserver")
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	command := exec.Command(binary, "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--insecure-port", port)
	command.Env = append(os.Environ(), "KUBESPHERE_ADMIN_PASSWORD="+adminPassword)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		_ = command.Process.Signal(os.Interrupt)
		_ = command.Wait()
	})
	t.Cleanup(stop)
	p := &process{stop: stop, pid: command.Process.Pid, address: "127.0.0.1:" + port, url: "http://127.0.0.1:" + port}
	if err := wait.Poll(2*time.Minute, p.ready); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("the server is not ready: %v: %s", err, text)
	}
	return p
}

// ready returns nil once the server says that it is.
func (p *process) ready() error {
	response, err := http.Get(p.url + "/readyz")
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/readyz: %s", response.Status)
	}
	return nil
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// memory is the resident memory of the process, in bytes.
func (p *process) memory(t testing.TB) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		t.Skip("there is no /proc")
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("the memory is not known")
	return 0
}

// peak follows the memory until it is asked for the largest it was.
func (p *process) peak(t testing.TB) func() int64 {
	var most atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			most.Store(max(most.Load(), p.memory(t)))
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return func() int64 { stop(); <-done; return most.Load() }
}

func (p *process) login(t testing.TB, user, password string) string {
	t.Helper()
	response, err := http.PostForm(p.url+"/oauth/token", url.Values{
		"grant_type": {"password"}, "username": {user}, "password": {password}, "client_id": {"kubesphere"}, "client_secret": {"kubesphere"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var tokens struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&tokens); err != nil || tokens.AccessToken == "" {
		t.Fatalf("login of %s: %s, %v", user, response.Status, err)
	}
	return tokens.AccessToken
}

// do sends a request and returns the status and the size of the answer.
func (p *process) do(ctx context.Context, method, path, token, body string, header ...string) (code int, size int64, err error) {
	r, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return 0, 0, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	r.Header.Set("Accept-Encoding", "identity")
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	size, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, size, err
}

// processor is the time of processors the process has used.
func (p *process) processor(t testing.TB) time.Duration {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil {
		t.Skip("there is no /proc")
	}
	values := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.Atoi(values[11])
	system, _ := strconv.Atoi(values[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// percentile99 asks for a path again and again from a few clients and returns the
// 99th percentile of how long it took.
func (p *process) percentile99(t testing.TB, path, token string, requests int) time.Duration {
	t.Helper()
	const clients = 4
	results := make(chan []time.Duration, clients)
	failures := make(chan error, clients)
	for range clients {
		go func() {
			var took []time.Duration
			for range requests / clients {
				began := time.Now()
				code, _, err := p.do(t.Context(), http.MethodGet, path, token, "")
				if err != nil || code != http.StatusOK {
					failures <- fmt.Errorf("%s: %d, %w", path, code, err)
					break
				}
				took = append(took, time.Since(began))
				time.Sleep(2 * time.Millisecond)
			}
			results <- took
		}()
	}
	var all []time.Duration
	for range clients {
		all = append(all, <-results...)
	}
	select {
	case err := <-failures:
		t.Fatal(err)
	default:
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

func kubernetes(t testing.TB) client.Client {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
