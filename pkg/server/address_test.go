package server

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestP32ClientAddress(t *testing.T) {
	trustedRanges := []string{"10.0.0.0/8", "127.0.0.1", "fd00::/8"}
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for n := 0; n < len(pairs); n += 2 {
			h.Add(pairs[n], pairs[n+1])
		}
		return h
	}
	for _, test := range []struct {
		name, from string
		header     http.Header
		want       string
	}{
		{"directly", "192.0.2.1:1234", nil, "192.0.2.1:1234"},
		{"whoever says so of themselves", "192.0.2.1:1234", header("X-Forwarded-For", "198.51.100.1", "X-Real-Ip", "198.51.100.1", "X-Client-Ip", "198.51.100.1"), "192.0.2.1:1234"},
		{"through a proxy", "10.1.2.3:1234", header("X-Forwarded-For", "198.51.100.1"), "198.51.100.1:0"},
		{"through two", "10.1.2.3:1234", header("X-Forwarded-For", "198.51.100.1, 10.9.9.9"), "198.51.100.1:0"},
		{"in two headers", "10.1.2.3:1234", header("X-Forwarded-For", "198.51.100.1", "X-Forwarded-For", "10.9.9.9"), "198.51.100.1:0"},
		// What the client wrote comes first in the header, and counts for nothing.
		{"through a proxy, with a lie", "10.1.2.3:1234", header("X-Forwarded-For", "203.0.113.7, 198.51.100.1"), "198.51.100.1:0"},
		{"of the console", "10.1.2.3:1234", header("X-Client-Ip", "198.51.100.1"), "198.51.100.1:0"},
		{"of another proxy", "10.1.2.3:1234", header("X-Real-Ip", "198.51.100.1"), "198.51.100.1:0"},
		{"two of what is one", "10.1.2.3:1234", header("X-Client-Ip", "198.51.100.1", "X-Client-Ip", "198.51.100.2"), "10.1.2.3:1234"},
		{"the proxy itself", "10.1.2.3:1234", nil, "10.1.2.3:1234"},
		{"IPv6", "[fd00::1]:1234", header("X-Forwarded-For", "2001:db8::1"), "[2001:db8::1]:0"},
		{"IPv4 in IPv6", "[::ffff:10.1.2.3]:1234", header("X-Forwarded-For", "::ffff:198.51.100.1"), "198.51.100.1:0"},
		{"with a port", "10.1.2.3:1234", header("X-Forwarded-For", "198.51.100.1:5678", "X-Real-Ip", "203.0.113.7"), "198.51.100.1:0"},
		{"IPv6 with a port", "10.1.2.3:1234", header("X-Forwarded-For", "[2001:db8::1]:5678"), "[2001:db8::1]:0"},
		{"no address, with a lie", "10.1.2.3:1234", header("X-Forwarded-For", "unknown", "X-Client-Ip", "203.0.113.7"), "10.1.2.3:1234"},
		{"no address", "10.1.2.3:1234", header("X-Forwarded-For", "unknown"), "10.1.2.3:1234"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, err := trusted(trustedRanges)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = test.from
			if test.header != nil {
				r.Header = test.header
			}
			if got := p.client(r); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if _, err := trusted([]string{"example.com"}); err == nil {
		t.Error("a name is taken for an address")
	}
}
