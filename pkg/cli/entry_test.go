package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLoginOfAnEntry: contexts of one name in two kubeconfigs are two logins, and a
// copy of a kubeconfig never turns into somebody else's.
func TestLoginOfAnEntry(t *testing.T) {
	m := newMachine(t)
	if err := m.login(); err != nil {
		t.Fatal(err)
	}
	first, args := m.kubeconfig, m.exec()
	before, err := m.run(args...)
	if err != nil {
		t.Fatal(err)
	}
	m.kubeconfig = filepath.Join(m.directory, "other")
	if err := m.login(); err != nil {
		t.Fatal(err)
	}
	if other := m.exec(); other[len(other)-1] == args[len(args)-1] {
		t.Errorf("both kubeconfigs have the login %s", other[len(other)-1])
	}
	m.kubeconfig = first
	if now, err := m.run(args...); err != nil || now != before {
		t.Errorf("the first has %s, %v", now, err)
	}
	if len(m.files()) != 2 {
		t.Errorf("the logins are %v", m.files())
	}

	copied := filepath.Join(m.directory, "copied")
	content, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, content, 0o600); err != nil {
		t.Fatal(err)
	}
	replaced := m.service.refresh
	if err := m.login(); err != nil {
		t.Fatal(err)
	}
	if len(m.files()) != 2 || len(m.service.revoked) != 1 || m.service.revoked[0] == m.service.refresh || replaced == "" {
		t.Errorf("after the second login in one entry: %v, revoked %v", m.files(), m.service.revoked)
	}
	m.kubeconfig = copied
	if printed, err := m.run(args...); err == nil || !strings.Contains(err.Error(), "kubectl ks login") {
		t.Errorf("the copy has %s, %v", printed, err)
	}
}

// TestPlainAddress: a login over HTTP would be of no use to kubectl.
func TestPlainAddress(t *testing.T) {
	m := newMachine(t)
	document := map[string]any{}
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(document) }))
	defer plain.Close()
	for _, test := range []struct {
		name     string
		document map[string]any
		want     string
	}{
		{"it has another port for HTTPS", map[string]any{"ks_https_address": "https://127.0.0.1:9443"}, "run kubectl ks login https://127.0.0.1:9443"},
		{"its issuer has HTTPS", map[string]any{"issuer": "https://127.0.0.1:9444"}, "run kubectl ks login https://127.0.0.1:9444"},
		{"it names another machine", map[string]any{"ks_https_address": "https://evil.example.com", "issuer": "https://evil.example.com"}, "begins with https://"},
		{"it names no address", map[string]any{"issuer": plain.URL}, "begins with https://"},
		{"it says something else", map[string]any{"issuer": 1}, "begins with https://"},
	} {
		document = test.document
		_, err := m.run("login", plain.URL, "--password-stdin", "-u", "jane")
		if err == nil || !strings.Contains(err.Error(), "kubectl sends tokens over HTTPS only") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "evil") {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	if len(m.files()) > 0 {
		t.Errorf("it keeps %v", m.files())
	}
}

// TestUnknownAuthority: the error names the flag that helps.
func TestUnknownAuthority(t *testing.T) {
	m := newMachine(t)
	if _, err := m.run("login", m.service.URL); err == nil || !strings.Contains(err.Error(), "--certificate-authority") {
		t.Errorf("without an authority: %v", err)
	}
	other := filepath.Join(m.directory, "other.pem")
	if err := os.WriteFile(other, []byte("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := m.run("login", m.service.URL, "--certificate-authority", other); err == nil || !strings.Contains(err.Error(), "certificate authority") {
		t.Errorf("with a file that has none: %v", err)
	}
}
