package egress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

func guard(t *testing.T, options config.Egress) *Guard {
	t.Helper()
	g, err := New(options, func(_ context.Context, address netip.Addr) (bool, error) {
		if address == netip.MustParseAddr("10.9.9.9") {
			return false, errors.New("kubernetes does not answer")
		}
		return netip.MustParsePrefix("10.244.0.0/16").Contains(address), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	g.InterfaceAddrs = func() ([]net.Addr, error) {
		return []net.Addr{
			&net.IPNet{IP: net.ParseIP("127.0.0.1"), Mask: net.CIDRMask(8, 32)},
			&net.IPNet{IP: net.ParseIP("10.2.0.5"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("10.2.0.9"), Mask: net.CIDRMask(24, 32)},
			&net.IPNet{IP: net.ParseIP("2001:db8:5::5"), Mask: net.CIDRMask(64, 128)},
		}, nil
	}
	return g
}

func TestCheck(t *testing.T) {
	g := guard(t, config.Egress{Allow: []string{"127.0.0.9", "10.2.0.9", "10.244.7.0/24", "registry.example.com"}, Deny: []string{"10.1.0.0/16", "fd00:1::/32"}})
	for address, want := range map[string]bool{
		"192.0.2.1": true, "10.0.0.1": true, "192.168.1.1": true, "172.16.0.1": true, "2001:db8::1": true, "fd12::1": true,
		// This host, in all spellings.
		"127.0.0.1": false, "127.8.8.8": false, "0.0.0.0": false, "0.1.2.3": false, "::1": false, "::": false, "::ffff:127.0.0.1": false, "::ffff:7f00:1": false, "::127.0.0.1": false,
		// This host, by the addresses of its interfaces; its neighbours; an address that is allowed.
		"10.2.0.5": false, "::ffff:10.2.0.5": false, "64:ff9b::10.2.0.5": false, "2001:db8:5::5": false, "10.2.0.6": true, "2001:db8:5::6": true, "10.2.0.9": true,
		// Link-local, which is metadata in clouds.
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false, "100.100.100.201": true,
		// Many, or nobody.
		"224.0.0.1": false, "239.255.255.255": false, "255.255.255.255": false, "ff02::1": false,
		// IPv4 within IPv6.
		"64:ff9b::7f00:1": false, "64:ff9b::c000:201": true, "64:ff9b::10.244.0.1": false, "64:ff9b:1::1": false, "2002:7f00:1::": false, "2001::1": false,
		// The cluster, and what is configured.
		"10.244.0.1": false, "::ffff:10.244.0.1": false, "10.244.7.1": true, "10.1.2.3": false, "fd00:1::1": false, "127.0.0.9": true, "::ffff:127.0.0.9": true,
	} {
		if err := g.Check(t.Context(), netip.MustParseAddr(address)); (err == nil) != want || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := g.Check(t.Context(), netip.MustParseAddr("10.9.9.9")); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("when it is not known what belongs to the cluster: %v", err)
	}
	g.InterfaceAddrs = func() ([]net.Addr, error) { return nil, errors.New("no interfaces") }
	if err := g.Check(t.Context(), netip.MustParseAddr("10.0.0.1")); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("when it is not known what belongs to this host: %v", err)
	}
	if err := g.Check(t.Context(), netip.Addr{}); !errors.Is(err, ErrRefused) {
		t.Errorf("no address: %v", err)
	}
}

func TestNames(t *testing.T) {
	g := guard(t, config.Egress{Allow: []string{"registry.Example.com", "*.internal"}})
	for host, want := range map[string]bool{
		"registry.example.com": true, "REGISTRY.example.com.": true, "evil-registry.example.com": false, "registry.example.com.evil.org": false, "example.com": false,
		"a.internal": true, "a.b.internal": true, "internal": false, ".internal": false, "a.internal.evil.org": false,
	} {
		if g.names(host) != want {
			t.Errorf("%q", host)
		}
	}
}

// resolving answers questions for addresses with one after another of a list.
func resolving(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	var asked atomic.Int32
	go func() {
		for {
			buffer := make([]byte, 512)
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if message.Unpack(buffer[:n]) != nil {
				continue
			}
			message.Response = true
			if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
				next := netip.MustParseAddr(addresses[min(int(asked.Add(1)), len(addresses))-1])
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Type: question.Type, Class: question.Class}, Body: &dnsmessage.AResource{A: next.As4()},
				}}
			}
			message.Additionals = nil
			if packed, err := message.Pack(); err == nil {
				_, _ = socket.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

// The name may mean anything, and something else when it is asked again: what
// is dialled is what counts.
func TestDialChecksWhatIsDialled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	accepted := atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			_ = conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	g := guard(t, config.Egress{})
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1", "0"} {
		if conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port)); err == nil {
			_ = conn.Close()
			t.Errorf("%s is dialled", host)
		}
	}
	g.Resolver = resolving(t, "127.0.0.1")
	if conn, err := g.DialContext(t.Context(), "tcp", net.JoinHostPort("rebound.example.com", port)); !errors.Is(err, ErrRefused) {
		t.Errorf("a name for this host: %v %v", conn, err)
	}
	if n := accepted.Load(); n != 0 {
		t.Fatalf("%d connections were made", n)
	}
	named := guard(t, config.Egress{Allow: []string{"allowed.example.com"}})
	named.Resolver = resolving(t, "127.0.0.1")
	conn, err := named.DialContext(t.Context(), "tcp", net.JoinHostPort("allowed.example.com", port))
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func get(t *testing.T, client *http.Client, address string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	return string(content), err
}

func TestTransport(t *testing.T) {
	inner := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret of the inside") }))
	defer inner.Close()
	var outer *httptest.Server
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/inside":
			http.Redirect(w, r, inner.URL, http.StatusFound)
		case r.URL.Path == "/plain":
			http.Redirect(w, r, strings.Replace(outer.URL, "https", "http", 1), http.StatusFound)
		case r.URL.Path == "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 1001))
		case r.URL.Path == "/exact":
			_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		case r.URL.Path == "/slow":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			// Returning would end the answer properly, and a client that is just
			// closing its connection may still read that.
			panic(http.ErrAbortHandler)
		case strings.HasPrefix(r.URL.Path, "/hop/"):
			var left int
			_, _ = fmt.Sscanf(r.URL.Path, "/hop/%d", &left)
			if left > 0 {
				http.Redirect(w, r, fmt.Sprintf("/hop/%d", left-1), http.StatusFound)
				return
			}
			_, _ = io.WriteString(w, "there")
		}
	})
	outer = httptest.NewUnstartedServer(handler)
	// Another address of this host, which is allowed here.
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skip("this system has one loopback address only:", err)
	}
	_ = outer.Listener.Close()
	outer.Listener = listener
	outer.Config.ErrorLog = log.New(io.Discard, "", 0)
	outer.StartTLS()
	defer outer.Close()
	g := guard(t, config.Egress{Allow: []string{"127.0.0.2"}})
	transport := g.Transport(Options{MaxBytes: 1000, Insecure: true})
	for _, test := range []struct {
		path, want string
		err        error
	}{
		{"/exact", strings.Repeat("x", 1000), nil},
		{"/large", "", ErrTooLarge},
		{"/hop/3", "there", nil},
		{"/hop/4", "", ErrRedirects},
		{"/inside", "", ErrRefused},
		{"/plain", "", ErrRedirects},
		{"/slow", "", context.DeadlineExceeded},
	} {
		client := &http.Client{Transport: transport}
		if test.err == context.DeadlineExceeded { //nolint:errorlint // of the table
			client.Timeout = 300 * time.Millisecond
		}
		got, err := get(t, client, outer.URL+test.path)
		if !errors.Is(err, test.err) || test.err == nil && got != test.want {
			t.Errorf("%s: %.50q %v", test.path, got, err)
		}
	}
	if _, err := get(t, &http.Client{Transport: transport}, inner.URL); !errors.Is(err, ErrRefused) {
		t.Errorf("the inside at once: %v", err)
	}
	if _, err := get(t, &http.Client{Transport: g.Transport(Options{MaxBytes: 1000})}, outer.URL+"/exact"); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("a certificate nobody trusts: %v", err)
	}
}
