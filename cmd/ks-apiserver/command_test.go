package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// execute runs the command line and returns what it prints.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	command := newCommand()
	command.SetOut(&out)
	command.SetErr(&out)
	command.SetArgs(args)
	err := command.ExecuteContext(t.Context())
	return out.String(), err
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubesphere.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Flags override the environment, which overrides the file.
func TestConfigPrecedence(t *testing.T) {
	t.Setenv("KUBESPHERE_SERVER_INSECUREPORT", "2222")
	t.Setenv("KUBESPHERE_SERVER_BINDADDRESS", "127.0.0.2")
	path := file(t, "server: {insecurePort: 1111, bindAddress: 127.0.0.1, debug: true}\nauthentication: {adminPassword: file-secret}\n")
	printed, err := execute(t, "config", "--config", path, "--insecure-port", "3333")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"insecurePort: 3333", "bindAddress: 127.0.0.2", "debug: true", "adminPassword: '******'"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is missing in\n%s", want, printed)
		}
	}
	if strings.Contains(printed, "file-secret") {
		t.Error("a secret is printed")
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct {
		name, message string
		args          []string
	}{
		{"unknown key in the file", `"serverr"`, []string{"--config", file(t, "serverr: {}\n")}},
		{"missing file", "no such file", []string{"--config", filepath.Join(t.TempDir(), "none")}},
		{"invalid value", "server.insecurePort must be between", []string{"--config", file(t, ""), "--insecure-port", "70000"}},
		{"a certificate without its key", "server.tlsCertFile", []string{"--config", file(t, ""), "--secure-port", "8443", "--tls-cert-file", "tls.crt"}},
		{"unknown flag", "unknown flag", []string{"--nonsense"}},
		{"argument", "unknown command", []string{"serve"}},
		{"kubeconfig that is not there", "kubeconfig", []string{"--config", file(t, ""), "--kubeconfig", filepath.Join(t.TempDir(), "none")}},
		{"type that is always on and unknown", `unknown resource type "unicorns"`, []string{"--config", file(t, "objects: {alwaysOn: [unicorns]}\n"), "--master", "http://127.0.0.1:1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := execute(t, test.args...); err == nil || !strings.Contains(err.Error(), test.message) {
				t.Errorf("got %v, want an error with %q", err, test.message)
			}
		})
	}
}

func TestVersionAndDocument(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"openapi"}, {"openapi", "--v3"}} {
		printed, err := execute(t, args...)
		var value map[string]any
		if err != nil || json.Unmarshal([]byte(printed), &value) != nil {
			t.Errorf("%v: %v\n%.200s", args, err, printed)
		}
		if args[0] == "version" && value["gitVersion"] != "v3.4.0" {
			t.Errorf("version %v", value)
		}
	}
}
