package main_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 2 * time.Minute
	// patience is for whatever Kubernetes does at its own pace.
	patience = time.Minute
)

// TestDevcluster takes one data directory through a life: start, use, a proper
// end, a start, a crash, a start.
func TestDevcluster(t *testing.T) {
	bin := binaries(t)
	dir := t.TempDir()
	c := bin.start(t, dir)

	t.Run("nodes are ready", func(t *testing.T) {
		out := c.kubectl(t, "", "get", "nodes", "--no-headers")
		if n := strings.Count(out, " Ready "); n != 3 {
			t.Errorf("%d nodes are ready:\n%s", n, out)
		}
	})
	t.Run("a deployment becomes available", func(t *testing.T) {
		c.kubectl(t, "", "create", "deployment", "web", "--image=nginx", "--replicas=3")
		c.kubectl(t, "", "rollout", "status", "deployment/web", "--timeout=60s")
	})
	t.Run("exec", func(t *testing.T) {
		if out := c.kubectl(t, "", "exec", "deploy/web", "--", "echo", "hello"); out != "hello\n" {
			t.Errorf("output %q", out)
		}
		if out := c.kubectl(t, "from here", "exec", "-i", "deploy/web", "--", "cat"); out != "from here" {
			t.Errorf("output %q", out)
		}
		_, err := c.try(t, "", "exec", "deploy/web", "--", "sh", "-c", "exit 7")
		if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 7 {
			t.Errorf("exit 7 ended with %v", err)
		}
	})
	t.Run("containers have IDs", func(t *testing.T) {
		out := c.kubectl(t, "", "get", "pods", "-l", "app=web", "-o", "jsonpath={range .items[*].status.containerStatuses[*]}{.containerID} {.started} {.imageID}{'\\n'}{end}")
		if n := len(regexp.MustCompile(`(?m)^containerd://[0-9a-f]{64} true nginx@sha256:[0-9a-f]{64}$`).FindAllString(out, -1)); n != 3 {
			t.Errorf("%d of 3 containers have IDs:\n%s", n, out)
		}
	})
	t.Run("logs", func(t *testing.T) {
		if out := c.kubectl(t, "", "logs", "deploy/web", "--tail=2"); strings.Count(out, "\n") != 2 {
			t.Errorf("two lines asked for, received:\n%s", out)
		}
		// A new line each second: two of them are followed for as long as it takes.
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		follow := c.command(ctx, "", "logs", "deploy/web", "--tail=1", "-f")
		output, err := follow.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(output)
		for n := range 3 {
			if !lines.Scan() {
				t.Errorf("%d lines followed in %s", n, patience)
				break
			}
		}
		cancel()
		// Ended by the context, so the error says nothing.
		_ = follow.Wait()
	})
	t.Run("port-forward", func(t *testing.T) { testPortForward(t, c) })
	t.Run("claims are bound", func(t *testing.T) {
		c.kubectl(t, claim, "apply", "-f", "-")
		c.kubectl(t, "", "wait", "pvc/data", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
		c.kubectl(t, "", "get", "volumesnapshots")
	})
	t.Run("a namespace can be deleted", func(t *testing.T) {
		c.kubectl(t, "", "create", "namespace", "gone")
		c.kubectl(t, "", "-n", "gone", "create", "deployment", "web", "--image=nginx")
		c.kubectl(t, "", "delete", "namespace", "gone", "--timeout=60s")
	})
	t.Run("a data directory has one owner", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		out, err := exec.CommandContext(ctx, bin.devcluster, "--data-dir", dir).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "--data-dir") {
			t.Errorf("%v:\n%s", err, out)
		}
	})

	// What follows is not in subtests: the clusters would end with them.
	c.kubectl(t, "", "create", "configmap", "before-term")
	begin := time.Now()
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Errorf("after SIGTERM it ended with %v", err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("the end after SIGTERM took %v", took)
	}

	old := c
	c = bin.start(t, dir)
	c.kubectl(t, "", "get", "configmap", "before-term")
	c.kubectl(t, "", "exec", "deploy/web", "--", "true")
	// Only the port may differ.
	old.kubectl(t, "", "--server", c.server(t), "get", "configmap", "before-term")

	c.kubectl(t, "", "create", "configmap", "before-kill")
	// Killed: the error says just that.
	_ = c.end(syscall.SIGKILL)
	c = bin.start(t, dir)
	c.kubectl(t, "", "get", "configmap", "before-kill")
}

func TestSeed(t *testing.T) {
	c := binaries(t).start(t, t.TempDir(), "--pods=500")
	out := c.kubectl(t, "", "get", "pods", "-A", "--no-headers", "-o", "wide")
	if n := strings.Count(out, "\n"); n != 500 {
		t.Errorf("%d pods", n)
	}
	var static []string
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); strings.Contains(line, " static-") {
			static = fields
		} else if fields[3] != "Running" && fields[3] != "Completed" {
			t.Errorf("not settled: %s", line)
		}
	}
	if static == nil {
		t.Fatal("no pod on a static node")
	}
	c.kubectl(t, "", "-n", static[0], "exec", static[1], "--", "true")
	c.kubectl(t, "", "-n", static[0], "delete", "pod", static[1], "--timeout=30s")
	c.kubectl(t, "", "-n", static[0], "rollout", "status", "deployment", "--timeout=60s")
}

func TestUp(t *testing.T) {
	bin := binaries(t)
	t.Setenv("TMPDIR", t.TempDir())
	out, err := exec.Command(bin.devcluster, "up", "--quiet", "--", bin.kubectl, "get", "nodes", "-o", "name").Output()
	if err != nil || strings.Count(string(out), "node/") != 3 {
		t.Errorf("%v: %q", err, out)
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	err = exec.Command(bin.devcluster, "up", "--quiet", "--", "sh", "-c", "exit 9").Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 9 {
		t.Errorf("exit 9 ended with %v", err)
	}
}

func TestPortTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(binaries(t).devcluster, "--port", port).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "--port") || !strings.Contains(string(out), port) {
		t.Errorf("%v:\n%s", err, out)
	}
}

const claim = `{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
	"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}`

func testPortForward(t *testing.T, c *devcluster) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	ctx, cancel := context.WithCancel(t.Context())
	forward := c.command(ctx, "", "port-forward", "deploy/web", strconv.Itoa(port)+":80")
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		// Ended by the context.
		_ = forward.Wait()
	}()
	eventually(t, "the forwarded port to answer", func() error {
		conn, err := net.DialTimeout("tcp", address, 10*time.Second)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write([]byte("GET /abc HTTP/1.1\r\nHost: web\r\n\r\n")); err != nil {
			return err
		}
		answer := make([]byte, 15)
		if _, err := conn.Read(answer); err != nil {
			return err
		}
		if string(answer) != "HTTP/1.1 200 OK" {
			t.Errorf("answer %q", answer)
		}
		return nil
	})
}

// eventually calls check until it returns nil, for as long as patience lasts.
func eventually(t *testing.T, condition string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for %s; last seen: %v", patience, condition, err)
		}
	}
}

// bin are the programs under test.
type bin struct{ devcluster, kubectl string }

// binaries takes them from the environment, or builds them.
func binaries(t *testing.T) bin {
	t.Helper()
	b := bin{os.Getenv("DEVCLUSTER_BIN"), os.Getenv("KUBECTL_BIN")}
	if b.devcluster != "" && b.kubectl != "" {
		return b
	}
	dir, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("./build.sh", dir).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin{filepath.Join(dir, "devcluster"), filepath.Join(dir, "kubectl")}
}

// devcluster is one that runs.
type devcluster struct {
	bin        bin
	process    *exec.Cmd
	kubeconfig string
	stderr     *bytes.Buffer
	ended      chan error
}

func (b bin) start(t *testing.T, dataDir string, args ...string) *devcluster {
	t.Helper()
	c := &devcluster{
		bin:        b,
		kubeconfig: filepath.Join(t.TempDir(), "kubeconfig"),
		stderr:     &bytes.Buffer{},
		ended:      make(chan error, 1),
	}
	c.process = exec.Command(b.devcluster, append([]string{"--data-dir", dataDir, "--kubeconfig", c.kubeconfig}, args...)...)
	c.process.Stderr = c.stderr
	if err := c.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.process.Wait() }()
	t.Cleanup(func() { _ = c.end(syscall.SIGKILL) })
	for deadline := time.Now().Add(startLimit); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(c.kubeconfig); err == nil {
			return c
		}
		select {
		case err := <-c.ended:
			c.ended <- err
			t.Fatalf("ended with %v while starting:\n%s", err, c.stderr)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for the cluster to start:\n%s", startLimit, c.stderr)
		}
	}
}

// end sends a signal and waits; a second time it does nothing.
func (c *devcluster) end(signal syscall.Signal) error {
	// It fails if the process has ended, which is what is waited for.
	_ = c.process.Process.Signal(signal)
	err := <-c.ended
	c.ended <- err
	return err
}

func (c *devcluster) command(ctx context.Context, stdin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.bin.kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	return cmd
}

func (c *devcluster) try(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	out, err := c.command(t.Context(), stdin, args...).Output()
	return string(out), err
}

func (c *devcluster) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := c.try(t, stdin, args...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *devcluster) server(t *testing.T) string {
	t.Helper()
	return c.kubectl(t, "", "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
}
