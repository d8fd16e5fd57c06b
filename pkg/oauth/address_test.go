package oauth

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// TestPageURL: a page a person opens is at an address that person can open.
func TestPageURL(t *testing.T) {
	for _, test := range []struct {
		name, issuer, host string
		encrypted          bool
		forwarded          string
		want               string
	}{
		{"by the issuer's name, behind a proxy that ends TLS", "https://ks.example.com", "ks.example.com", false, "", "https://ks.example.com/oauth/device"},
		{"below a path", "https://ks.example.com/base/", "KS.example.com", false, "", "https://ks.example.com/base/oauth/device"},
		{"the default issuer is a name inside the cluster", "http://ks-apiserver.kubesphere-system.svc", "127.0.0.1:9443", true, "", "https://127.0.0.1:9443/oauth/device"},
		{"without TLS", "http://ks-apiserver.kubesphere-system.svc", "127.0.0.1:9090", false, "", "http://127.0.0.1:9090/oauth/device"},
		{"behind a proxy with another name", "http://ks-apiserver.kubesphere-system.svc", "ks.example.com", false, "https", "https://ks.example.com/oauth/device"},
		{"a path of the issuer is kept", "http://ks-apiserver.ns.svc.cluster.local/base", "10.0.0.1", true, "", "https://10.0.0.1/base/oauth/device"},
		{"a configured issuer goes first", "https://ks.example.com", "ks-apiserver.kubesphere-system.svc", false, "", "https://ks.example.com/oauth/device"},
	} {
		h := &Handler{Tokens: &token.Service{Issuer: test.issuer}}
		r := httptest.NewRequest(http.MethodPost, "/oauth/device_authorization", nil)
		r.Host = test.host
		if test.encrypted {
			r.TLS = &tls.ConnectionState{}
		}
		if test.forwarded != "" {
			r.Header.Set("X-Forwarded-Proto", test.forwarded)
		}
		if got := h.pageURL(r, "/oauth/device"); got != test.want {
			t.Errorf("%s: %s", test.name, got)
		}
	}
}
