package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The paths are relative to this directory, in which go test runs the tests.
const (
	namespace = "kubesphere-system"
	baseDir   = "../../deploy/kustomize/base"
	chartDir  = "../../deploy/helm/ks-apiserver"
)

// commandTimeout bounds one call of kubectl or helm; rollouts have their own.
const commandTimeout = 2 * time.Minute

var (
	kubectlPath = tool("KUBECTL", "../../bin/kubectl")
	helmPath    = tool("HELM", "../../bin/helm")
	serverPath  = tool("KS_APISERVER", "../../bin/ks-apiserver")
)

// TestMain installs the base once: all tests look at the same installation.
func TestMain(m *testing.M) {
	if err := install(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "test/deploy:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func install(ctx context.Context) error {
	if os.Getenv("KUBECONFIG") == "" {
		return errors.New("no KUBECONFIG: run this as bin/devcluster up -- go test -C test/deploy")
	}
	for _, path := range []string{kubectlPath, helmPath, serverPath} {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("a binary is missing: %w", err)
		}
	}
	// A warning is a deprecated version or a field the API doesn't know.
	_, err := run(ctx, "", kubectlPath, "apply", "--warnings-as-errors", "-k", baseDir)
	return err
}

func tool(variable, fallback string) string {
	path := os.Getenv(variable)
	if path == "" {
		path = fallback
	}
	// Absolute, so that exec doesn't take a bare name from PATH.
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// run executes a command and returns its standard output; an error has all of
// what it said.
func run(ctx context.Context, stdin, path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = bytes.NewBufferString(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %v: %w\n%s%s",
			filepath.Base(path), args, err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := run(t.Context(), "", kubectlPath, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// template renders the chart as `helm install` would send it to this cluster.
func template(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return run(t.Context(), "", helmPath,
		append([]string{"template", "ks-apiserver", chartDir, "--namespace", namespace}, args...)...)
}
