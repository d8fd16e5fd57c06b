package request

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestHTTPSAddress(t *testing.T) {
	for _, test := range []struct {
		name, host string
		ports      Ports
		encrypted  bool
		want       string
	}{
		{"asked directly", "127.0.0.1:9090", Ports{9090, 9443}, false, "https://127.0.0.1:9443"},
		{"IPv6", "[::1]:9090", Ports{9090, 9443}, false, "https://[::1]:9443"},
		{"with TLS", "127.0.0.1:9443", Ports{9090, 9443}, true, ""},
		{"no secure port", "127.0.0.1:9090", Ports{9090, 0}, false, ""},
		{"through a proxy with another port", "ks.example.com:8080", Ports{9090, 9443}, false, ""},
		{"through a proxy on the standard port", "ks.example.com", Ports{9090, 9443}, false, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = test.host
		if test.encrypted {
			r.TLS = &tls.ConnectionState{}
		}
		if got := test.ports.HTTPSAddress(r); got != test.want {
			t.Errorf("%s: %q", test.name, got)
		}
	}
}
