package pki

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

func TestLeavesVerifyAgainstTheirAuthority(t *testing.T) {
	s := ensure(t, t.TempDir())
	for _, l := range leaves() {
		pair, err := tls.LoadX509KeyPair(s.Cert(l.file), s.Key(l.file))
		if err != nil {
			t.Fatalf("%s: %v", l.file, err)
		}
		ca, err := os.ReadFile(s.Cert(l.signer))
		if err != nil {
			t.Fatal(err)
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: l.spec.usage}); err != nil {
			t.Errorf("%s: %v", l.file, err)
		}
	}
	server, err := tls.LoadX509KeyPair(s.Cert(APIServer), s.Key(APIServer))
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "kubernetes.default.svc", "10.96.0.1"} {
		if err := server.Leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
}

func TestEnsureKeepsWhatExistsAndRepairsHalfAPair(t *testing.T) {
	dir := t.TempDir()
	s := ensure(t, dir)
	before := readAll(t, dir)
	ensure(t, dir)
	for name, data := range readAll(t, dir) {
		if before[name] != data {
			t.Errorf("%s has changed", name)
		}
	}
	if err := os.Remove(s.Cert(Scheduler)); err != nil {
		t.Fatal(err)
	}
	ensure(t, dir)
	if _, err := tls.LoadX509KeyPair(s.Cert(Scheduler), s.Key(Scheduler)); err != nil {
		t.Errorf("the certificate was not made again: %v", err)
	}
}

func TestKubeconfigIsSelfContained(t *testing.T) {
	s := ensure(t, t.TempDir())
	path := filepath.Join(t.TempDir(), "sub", "kubeconfig")
	if err := s.WriteKubeconfig(path, "https://127.0.0.1:1", Admin); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:1" || len(config.CAData) == 0 || len(config.KeyData) == 0 || config.CAFile != "" {
		t.Errorf("unexpected configuration: %v", config)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the administrator's key is readable with mode %v", info.Mode())
	}
}

func ensure(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Ensure(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = string(data)
	}
	return files
}
