package kubeconfig

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestAddress(t *testing.T) {
	authority := func(host string) ([]byte, error) {
		if host == "127.0.0.1" || host == "ks.example.com" {
			return []byte("authority"), nil
		}
		return nil, nil
	}
	for _, test := range []struct {
		name      string
		public    string
		port      int
		host      string
		tls       bool
		forwarded string
		server    string
		authority string
		known     bool
	}{
		{"the configured one", "https://ks.example.com/", 9443, "ks-apiserver:9090", false, "", "https://ks.example.com", "authority", true},
		{"with a path and a public certificate", "https://example.com/ks", 9443, "ks-apiserver:9090", false, "", "https://example.com/ks", "", true},
		{"over TLS, that of the request", "", 9443, "127.0.0.1:9443", true, "", "https://127.0.0.1:9443", "authority", true},
		{"over TLS, but by the name of the Service", "", 9443, "ks-apiserver-secure.kubesphere-system.svc", true, "", "https://ks-apiserver-secure.kubesphere-system.svc", "", false},
		{"never HTTP", "", 9443, "127.0.0.1:9090", false, "", "https://127.0.0.1:9443", "authority", false},
		{"never HTTP, IPv6", "", 9443, "[::1]:9090", false, "", "https://[::1]:9443", "", false},
		{"a console's name", "", 0, "ks-apiserver.kubesphere-system.svc", false, "https", "https://ks-apiserver.kubesphere-system.svc", "", false},
		{"an ingress that ends TLS", "", 0, "ks.example.org", false, "https", "https://ks.example.org", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &http.Request{Host: test.host, Header: http.Header{}}
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if test.forwarded != "" {
				r.Header.Set("X-Forwarded-Proto", test.forwarded)
			}
			address := Address{PublicURL: test.public, SecurePort: test.port, Authority: authority}
			cluster, known, err := address.cluster(r)
			if err != nil || cluster.Server != test.server || known != test.known || string(cluster.CertificateAuthorityData) != test.authority {
				t.Errorf("%v: %s known %v, authority %q", err, cluster.Server, known, cluster.CertificateAuthorityData)
			}
		})
	}
}

func TestInCluster(t *testing.T) {
	for host, want := range map[string]bool{
		"ks-apiserver": true, "ks-apiserver.kubesphere-system": true, "ks-apiserver.kubesphere-system.svc": true, "ks-apiserver.kubesphere-system.svc.cluster.local": true,
		"KS-APISERVER.kubesphere-system.SVC.": true, "localhost": false, "127.0.0.1": false, "::1": false, "ks.example.com": false, "example.com": false,
	} {
		if got := InCluster(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
