package server

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/client-go/util/cert"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// unreadStreams opens a connection that reads no bodies, and asks for a path on many
// streams.
func unreadStreams(t *testing.T, address string, streams int, path, token string) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(http2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for n := range streams {
		block.Reset()
		fields := []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: path}}
		if token != "" {
			fields = append(fields, hpack.HeaderField{Name: "authorization", Value: token})
		}
		for _, field := range fields {
			if err := encoder.WriteField(field); err != nil {
				t.Fatal(err)
			}
		}
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*n + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			return // the server closes connections like this one
		}
	}
	go func() {
		for {
			if _, err := framer.ReadFrame(); err != nil {
				return
			}
		}
	}()
}

// overHTTP2 serves over TLS, and returns the address.
func overHTTP2(t *testing.T, s *Server) string {
	t.Helper()
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(s.handler)
	server.Config.ConnContext, server.Config.ConnState = s.connections.context, s.connections.state
	server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{pair}}, true
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	return server.Listener.Addr().String()
}

// TestUnreadStreams: streams of HTTP/2 whose answers nobody reads held a goroutine and the
// request each, 250 on each connection, whoever sent them and whatever the answer was.
func TestUnreadStreams(t *testing.T) {
	for _, test := range []struct{ name, path, token string }{
		{"of visitors", "/kapis/test.io/v1/a", ""},
		{"that do not exist", "/kapis/test.io/v1/nothing", ""},
		{"of a user", "/kapis/test.io/v1/a", "jane"},
		{"of a user beyond the share", "/kapis/test.io/v1/nothing", "jane"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, func(o *Options) { o.Config.MaxRequestsInFlight, o.Config.MaxUnauthenticatedInFlight = 400, 100 }, map[string]route.Handler{"a": text("a")})
			address := overHTTP2(t, s)
			before := runtime.NumGoroutine()
			const connections, streams = 4, 250
			for range connections {
				unreadStreams(t, address, streams, test.path, test.token)
			}
			time.Sleep(200 * time.Millisecond) // for most of them to come
			// Two goroutines are for a stream that lingers.
			wait.For(t, "all but the share of streams to end", func() error {
				if now := runtime.NumGoroutine() - before; now > 2*answersPerHolder+10*connections {
					return fmt.Errorf("%d goroutines more for %d streams", now, connections*streams)
				}
				return nil
			})
			r, _ := http.NewRequest(http.MethodGet, "https://"+address+"/kapis/test.io/v1/a", nil)
			r.Header.Set("Authorization", test.token)
			response, err := (&http.Client{Timeout: wait.Timeout, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}).Do(r)
			if err != nil {
				t.Fatalf("somebody who reads, from the same address: %v", err)
			}
			body, err := io.ReadAll(response.Body)
			if response.Body.Close(); err != nil || string(body) != "a" || response.ProtoMajor != 2 {
				t.Errorf("somebody who reads, from the same address: %q, %v", body, err)
			}
		})
	}
}

// TestConnectionsOfVisitors: one unread answer on each connection kept everybody from
// connecting, probes included.
func TestConnectionsOfVisitors(t *testing.T) {
	const most = 20
	s := newServer(t, func(o *Options) { o.Config.MaxConnections = most }, map[string]route.Handler{"a": text("a")})
	address := overHTTP2(t, s)
	used := &http.Client{Timeout: wait.Timeout, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	ask := func() (*http.Response, error) {
		r, _ := http.NewRequest(http.MethodGet, "https://"+address+"/kapis/test.io/v1/a", nil)
		r.Header.Set("Authorization", "jane")
		return used.Do(r)
	}
	response, err := ask()
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() // its stream is not read either
	for range 2 * most {
		unreadStreams(t, address, 1, "/kapis/test.io/v1/a", "")
	}
	for range 10 {
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: wait.Timeout}, "tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(wait.Timeout))
		if _, err := conn.Write([]byte("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Read(make([]byte, 100)); err != nil || n == 0 {
			t.Errorf("a probe beside unread answers: %v", err)
		}
		_ = conn.Close()
	}
	again, err := ask()
	if err != nil {
		t.Fatalf("the connection of a user was closed: %v", err)
	}
	again.Body.Close()
}
