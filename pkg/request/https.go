package request

import (
	"net"
	"net/http"
	"strconv"
)

// Ports are where a server listens without and with TLS; 0 where it does not.
type Ports struct{ Insecure, Secure int }

// HTTPSAddress is the address with TLS of the server for a client that asks it
// without, and directly; empty for others, since only a proxy knows its own.
func (p Ports) HTTPSAddress(r *http.Request) string {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil || r.TLS != nil || p.Secure == 0 || port != strconv.Itoa(p.Insecure) {
		return ""
	}
	return "https://" + net.JoinHostPort(host, strconv.Itoa(p.Secure))
}
