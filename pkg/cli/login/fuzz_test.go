package login

import (
	"net"
	"strings"
	"testing"
	"unicode"
)

// FuzzServer: tokens go to an address with TLS or to this machine, and nowhere that
// is hidden in the text.
func FuzzServer(f *testing.F) {
	for _, address := range []string{"ks.example.com", "https://ks.example.com/base/", "http://127.0.0.1:9090", "https://jane@evil.example.com", "https://x/?a", "http://localhost.evil.example.com", "https://[::1"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, address string) {
		server, err := Server(address)
		if err != nil {
			return
		}
		if server.Scheme != "https" && (server.Scheme != "http" || server.Hostname() != "localhost" && !net.ParseIP(server.Hostname()).IsLoopback()) {
			t.Errorf("%q is %s", address, server)
		}
		if server.Host == "" || server.User != nil || server.RawQuery != "" || server.Fragment != "" || strings.HasSuffix(server.Path, "/") {
			t.Errorf("%q is %s", address, server)
		}
	})
}

// FuzzPrintable: what a server says does not move the cursor.
func FuzzPrintable(f *testing.F) {
	f.Add("unknown\x1b[2J client")
	f.Fuzz(func(t *testing.T, text string) {
		if got := printable(text); strings.ContainsFunc(got, unicode.IsControl) || len(got) > 4*500 {
			t.Errorf("%q is printed as %q", text, got)
		}
	})
}
