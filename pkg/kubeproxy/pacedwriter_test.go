package kubeproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// someNamespaces are rights of a user who sees one namespace.
type someNamespaces struct{ roleless }

func (someNamespaces) VisibleNamespaces(context.Context, user.Info, ...authz.Action) (authz.Visible, error) {
	return authz.Visible{Names: sets.New("a")}, nil
}

// overHTTP2 serves a front over HTTP/2.
func (f *front) overHTTP2(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(f.Config.Handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// unread sends bytes over a connection that is never read.
func unread(t *testing.T, conn net.Conn, err error, text string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// unreadHTTP1 asks for a path on connections that are not read.
func unreadHTTP1(t *testing.T, f *front, n int, path, headers string) {
	t.Helper()
	for range n {
		conn, err := net.Dial("tcp", f.Listener.Addr().String())
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(4 << 10)
		}
		unread(t, conn, err, "GET "+path+" HTTP/1.1\r\nHost: x\r\n"+headers+"\r\n")
	}
}

// unreadHTTP2 asks for a path on the streams of a connection that is not read, with
// windows of a size.
func unreadHTTP2(t *testing.T, f *front, n int, path string, window uint32) {
	t.Helper()
	conn, err := tls.Dial("tcp", f.overHTTP2(t).Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err == nil {
		_ = conn.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10)
	}
	var text, block bytes.Buffer
	text.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&text, nil)
	_ = framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	_ = framer.WriteSettingsAck()
	_ = framer.WriteWindowUpdate(0, 1<<30)
	encoder := hpack.NewEncoder(&block)
	for stream := range n {
		block.Reset()
		for _, field := range []hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "x"}, {Name: ":path", Value: path}} {
			_ = encoder.WriteField(field)
		}
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*stream + 1), BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	unread(t, conn, err, text.String())
}

// endless is a Kubernetes whose answers to jane do not end, and those to others do.
func endless(began, open *atomic.Int64) http.HandlerFunc {
	event := namespaceText("ADDED", "a", `,"x":"`+strings.Repeat("x", 16<<10)+`"`) + "\n"
	return func(w http.ResponseWriter, r *http.Request) {
		if user := r.Header.Get("Impersonate-User"); user != "jane" && user != "" { // this server asks for the namespaces itself
			_, _ = io.WriteString(w, "first\n")
			return
		}
		began.Add(1)
		open.Add(1)
		defer open.Add(-1)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, event); err != nil {
				return
			}
		}
	}
}

// TestUnread: clients that do not read keep a few requests at Kubernetes, and with limits
// none. Each took one of the seats Kubernetes has for all users.
func TestUnread(t *testing.T) {
	const clients = 20
	const socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	const nonsense = "Connection: Upgrade\r\nUpgrade: foo\r\n"
	for name, test := range map[string]struct {
		ask   func(*testing.T, *front)
		limit time.Duration
		left  int64
	}{
		"watches":        {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods?watch=1", "") }, time.Hour, maxStalledSeatsPerUser},
		"watches, later": {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods?watch=1", "") }, time.Second, 0},
		"lists":          {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods", "") }, time.Second, maxStalledSeatsPerUser / seatsOfList},
		"logs": {func(t *testing.T, f *front) {
			unreadHTTP1(t, f, clients, "/api/v1/namespaces/a/pods/b/log?follow=true", "")
		}, time.Hour, maxStalledSeatsPerUser},
		"namespaces":                     {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/namespaces?watch=1", "") }, time.Hour, maxStalledSeatsPerUser},
		"sockets":                        {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/namespaces?watch=1", socket) }, time.Hour, maxStalledSeatsPerUser},
		"sockets, later":                 {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/namespaces?watch=1", socket) }, time.Second, 0},
		"sockets of another type":        {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods?watch=1", socket) }, time.Hour, maxStalledSeatsPerUser},
		"sockets of another type, later": {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods?watch=1", socket) }, time.Second, 0},
		"watches that ask for nonsense":  {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods?watch=1", nonsense) }, time.Hour, maxStalledSeatsPerUser},
		"lists that ask for nonsense":    {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods", nonsense) }, time.Second, maxStalledSeatsPerUser / seatsOfList},
		"lists that ask for a socket":    {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/pods", socket) }, time.Second, maxStalledSeatsPerUser / seatsOfList},
		"logs that ask for nonsense": {func(t *testing.T, f *front) {
			unreadHTTP1(t, f, clients, "/api/v1/namespaces/a/pods/b/log?follow=true", nonsense)
		}, time.Hour, maxStalledSeatsPerUser},
		"namespaces with nonsense": {func(t *testing.T, f *front) { unreadHTTP1(t, f, clients, "/api/v1/namespaces?watch=1", nonsense) }, time.Hour, maxStalledSeatsPerUser},
		"streams":                  {func(t *testing.T, f *front) { unreadHTTP2(t, f, clients, "/api/v1/pods?watch=1", 0) }, time.Hour, maxStalledSeatsPerUser},
		"streams, later":           {func(t *testing.T, f *front) { unreadHTTP2(t, f, clients, "/api/v1/pods?watch=1", 0) }, time.Second, 0},
		"a connection":             {func(t *testing.T, f *front) { unreadHTTP2(t, f, clients, "/api/v1/pods?watch=1", 1<<30) }, time.Hour, maxStalledSeatsPerUser},
		"a connection, later":      {func(t *testing.T, f *front) { unreadHTTP2(t, f, clients, "/api/v1/pods?watch=1", 1<<30) }, time.Second, 0},
		"a connection of lists":    {func(t *testing.T, f *front) { unreadHTTP2(t, f, clients, "/api/v1/pods", 1<<30) }, time.Second, maxStalledSeatsPerUser / seatsOfList},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var began, open atomic.Int64
			f := newFront(t, endless(&began, &open))
			f.proxy.rights = someNamespaces{}
			f.proxy.reads = turns.New(math.MaxInt, clients, readWait, tooManyReads)
			f.proxy.pacing = pacing{patience: 200 * time.Millisecond, limit: test.limit, rate: 256 << 10}
			test.ask(t, f)
			wait.For(t, "what is not read to end", func() error {
				if began.Load() != clients || open.Load() != test.left {
					return fmt.Errorf("%d of %d are open, want %d", open.Load(), began.Load(), test.left)
				}
				return nil
			})
			for _, path := range []string{"/api/v1/pods?watch=1", "/api/v1/pods"} {
				r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
				r.Header.Set(headerUser, "joe")
				response, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(response.Body)
				if _ = response.Body.Close(); err != nil || string(text) != "first\n" {
					t.Errorf("another user gets %q, %v", text, err)
				}
			}
		})
	}
}

// TestSlowReaders: a watch that waits for longer than a write may take goes on, and so does
// one whose client pauses.
func TestSlowReaders(t *testing.T) {
	const size = 16 << 20 // more than there are buffers for
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Has("labelSelector") {
			time.Sleep(time.Second)
		} else {
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		}
		_, _ = io.WriteString(w, "\nlast\n")
	})
	f.proxy.pacing.patience, f.proxy.pacing.limit = 100*time.Millisecond, 300*time.Millisecond
	patient := newFront(t, f.backend.Config.Handler.ServeHTTP)
	second := f.overHTTP2(t)
	patientSecond := patient.overHTTP2(t)
	for name, test := range map[string]struct {
		client *http.Client
		url    string
		pause  time.Duration
	}{
		"a watch that waits":              {http.DefaultClient, f.URL + "/api/v1/pods?watch=1&labelSelector=a", 0},
		"a watch that waits, HTTP/2":      {second.Client(), second.URL + "/api/v1/pods?watch=1&labelSelector=a", 0},
		"a client that pauses":            {http.DefaultClient, patient.URL + "/api/v1/pods?watch=1", 2 * time.Second},
		"a client that pauses, HTTP/2":    {patientSecond.Client(), patientSecond.URL + "/api/v1/pods?watch=1", 2 * time.Second},
		"a list whose client pauses":      {http.DefaultClient, f.URL + "/api/v1/pods", 2 * time.Second},
		"a list whose client pauses, too": {second.Client(), second.URL + "/api/v1/pods", 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, test.url, nil)
			response, err := test.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			time.Sleep(test.pause)
			last := ""
			lines := bufio.NewScanner(response.Body)
			lines.Buffer(nil, 2*size)
			for lines.Scan() {
				last = lines.Text()
			}
			if lines.Err() != nil || last != "last" {
				t.Errorf("it ended with %.10q, %v", last, lines.Err())
			}
		})
	}
}
