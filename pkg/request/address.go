package request

import (
	"net"
	"net/http"
)

// ClientAddress is the address a request comes from, without a port. What
// headers say of it counts only where a proxy is trusted: pkg/server then puts
// it into RemoteAddr.
func ClientAddress(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}
