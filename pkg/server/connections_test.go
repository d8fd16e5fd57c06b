package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestConnections: there is a bound, beyond which connections go that wait for a
// request, and never those that are served.
func TestConnections(t *testing.T) {
	const most = 40
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(o *Options) { o.Config.MaxConnections = most }, map[string]route.Handler{
		"slow": func(w http.ResponseWriter, r *http.Request) error {
			close(entered)
			<-leave
			return text("done")(w, r)
		},
		"a": text("a"),
	})
	serve(t, s)
	answered := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + s.Address().String() + "/kapis/test.io/v1/slow")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		answered <- string(body)
	}()
	<-entered
	var idle []net.Conn
	for range 3 * most {
		idle = append(idle, slowRequest(t, s, "GET /kapis/test.io/v1/a HTTP/1.1\r\n")) // half a header
	}
	eventually(t, "the bound does not hold", func() bool { return s.connections.count.Load() <= most })
	_ = idle[0].SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := idle[0].Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection that waits for the longest time is not closed")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		response, err := client.Get("http://" + s.Address().String() + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	close(leave)
	if got := <-answered; got != "done" {
		t.Errorf("the request that was served: %s", got)
	}
}

// TestHeaderBytes: headers larger than any token needs are refused.
func TestHeaderBytes(t *testing.T) {
	s := newServer(t, nil, map[string]route.Handler{"a": text("a")})
	serve(t, s)
	for size, code := range map[int]int{16 << 10: 200, 1 << 20: 431} {
		r, _ := http.NewRequest(http.MethodGet, "http://"+s.Address().String()+"/kapis/test.io/v1/a", nil)
		r.Header.Set("X-Large", strings.Repeat("a", size))
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			if code == 431 && strings.Contains(fmt.Sprint(err), "reset") {
				continue // before the answer was read
			}
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != code {
			t.Errorf("%d bytes: %d, want %d", size, response.StatusCode, code)
		}
	}
}

// TestSlowBodiesOverHTTP2: each stream has deadlines of its own.
func TestSlowBodiesOverHTTP2(t *testing.T) {
	certificate, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := newDeadlines(w, r)
		if r.ContentLength != 0 {
			d.set(time.Now().Add(100 * time.Millisecond))
		}
		_, err := io.ReadAll(streamedBody{r.Body})
		if r.ContentLength != 0 {
			ended <- err
		}
	}))
	server.TLS, server.EnableHTTP2 = &tls.Config{Certificates: []tls.Certificate{pair}}, true
	server.StartTLS()
	defer server.Close()
	client := server.Client()
	client.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
	body, send := io.Pipe()
	defer send.Close()
	go func() {
		response, err := client.Post(server.URL, "text/plain", body)
		if err == nil {
			response.Body.Close()
		}
	}()
	_, _ = send.Write([]byte("h"))
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "did not arrive in time") {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the body is still awaited")
	}
	response, err := client.Get(server.URL)
	if err != nil || response.ProtoMajor != 2 {
		t.Fatalf("%v", err)
	}
	response.Body.Close()
}
