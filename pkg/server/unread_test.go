package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestUnreadBodies: a request that is refused before its body is there is answered
// at once, and its connection ends. Such connections used to last for a minute.
func TestUnreadBodies(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) {
			return !authz.IsAnonymous(a.GetUser()) && a.GetUser().GetName() != "mallory", nil
		})
	}, map[string]route.Handler{"a": text("a")})
	serve(t, s)
	for name, test := range map[string]struct {
		start string
		code  int
	}{
		"nobody":                  {"POST /kapis/test.io/v1/a HTTP/1.1\r\n", 401},
		"incorrect credentials":   {"POST /kapis/test.io/v1/a HTTP/1.1\r\nAuthorization: invalid\r\n", 401},
		"not allowed":             {"POST /kapis/test.io/v1/a HTTP/1.1\r\nAuthorization: mallory\r\n", 403},
		"a path that is not tidy": {"POST /kapis//test.io/v1/a HTTP/1.1\r\nAuthorization: jane\r\n", 400},
		"a watch of Kubernetes":   {"GET /api/v1/pods?watch=true HTTP/1.1\r\n", 401},
		"a probe":                 {"GET /livez HTTP/1.1\r\nAuthorization: jane\r\n", 200},
		"a length beyond limits":  {"POST /kapis/test.io/v1/a HTTP/1.1\r\nAuthorization: jane\r\nContent-Length: 100000\r\n", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			length := "Content-Length: 10\r\n"
			if test.code == 413 {
				length = ""
			}
			conn := slowRequest(t, s, test.start+"Host: a\r\n"+length+"\r\n")
			_ = conn.SetReadDeadline(time.Now().Add(30 * time.Second))
			lines := bufio.NewReader(conn)
			response, err := http.ReadResponse(lines, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != test.code || !response.Close {
				t.Errorf("got %d, the connection ends: %t", response.StatusCode, response.Close)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			if _, err := lines.ReadByte(); err == nil || isTimeout(err) {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error) //nolint:errorlint // of the connection itself
	return ok && timeout.Timeout()
}

// TestRefusedFlood: connections with refused requests go when there are too many, so
// that others are served.
func TestRefusedFlood(t *testing.T) {
	const most = 40
	s := newServer(t, func(o *Options) {
		o.Config.MaxConnections = most
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) { return !authz.IsAnonymous(a.GetUser()), nil })
	}, map[string]route.Handler{"a": text("a")})
	serve(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 3 * most {
		slowRequest(t, s, "POST /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
		r, _ := http.NewRequest(http.MethodGet, "http://"+s.Address().String()+"/kapis/test.io/v1/a", nil)
		r.Header.Set("Authorization", "jane")
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("another client gets %d", response.StatusCode)
		}
	}
}

// TestUnreadBodiesOverHTTP2: a refused stream is reset, so that its connection has
// room for others.
func TestUnreadBodiesOverHTTP2(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": text("a")})
	server := httptest.NewUnstartedServer(s.handler)
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 2}
	server.StartTLS()
	defer server.Close()
	for range 10 {
		body, send := io.Pipe()
		t.Cleanup(func() { _ = send.Close() })
		r, _ := http.NewRequest(http.MethodPost, server.URL+"/kapis/test.io/v1/a", body)
		r.Header.Set("Authorization", "invalid")
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.ProtoMajor != 2 || response.StatusCode != http.StatusUnauthorized {
			t.Fatalf("%s %d", response.Proto, response.StatusCode)
		}
		if _, err := send.Write([]byte("h")); err == nil {
			if _, err := send.Write([]byte("h")); err == nil {
				t.Error("the body of a refused stream is still read")
			}
		}
	}
}
