package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// blockedBody blocks in Read until the channel is closed.
type blockedBody struct {
	reading *atomic.Int64
	release chan struct{}
}

func (b blockedBody) Read([]byte) (int, error) {
	b.reading.Add(1)
	<-b.release
	return 0, io.EOF
}

func (blockedBody) Close() error { return nil }

// TestConcurrentDrains: of the refused bodies of a client address a few are read at
// once, whatever it sends, and those of others as well.
func TestConcurrentDrains(t *testing.T) {
	drains := newDrains()
	release := make(chan struct{})
	var running sync.WaitGroup
	refuse := func(address string, requests int) *atomic.Int64 {
		reading, returned := new(atomic.Int64), new(atomic.Int64)
		for range requests {
			r := httptest.NewRequest(http.MethodPost, "/", blockedBody{reading, release})
			r.RemoteAddr = net.JoinHostPort(address, "1")
			body := followBody(r, drains)
			running.Go(func() {
				body.leave(httptest.NewRecorder(), r, http.StatusUnauthorized)
				returned.Add(1)
			})
		}
		wait.Until(t, "all but the share to be left unread", func() bool {
			return reading.Load() == drainsPerAddress && returned.Load() == int64(requests-drainsPerAddress)
		})
		return reading
	}
	first := refuse("192.0.2.1", 1000)
	second := refuse("192.0.2.2", 100)
	if first.Load() != drainsPerAddress || second.Load() != drainsPerAddress {
		t.Errorf("%d and %d bodies are read", first.Load(), second.Load())
	}
	close(release)
	running.Wait()
	if drains.Held() != 0 {
		t.Errorf("%d are held after all", drains.Held())
	}
}

// TestRefusedBodiesAtOnce: a thousand clients at one address that send large bodies
// with invalid credentials are all answered, and others are served meanwhile.
func TestRefusedBodiesAtOnce(t *testing.T) {
	const clients = 1000
	s := newServer(t, nil, map[string]route.Handler{"a": text("a")})
	serve(t, s)
	var answered, running sync.WaitGroup
	answered.Add(clients)
	stop := make(chan struct{})
	for range clients {
		conn := slowRequest(t, s, "POST /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\nAuthorization: invalid\r\nContent-Length: 100000000\r\n\r\n")
		running.Go(func() {
			defer answered.Done()
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusUnauthorized {
				t.Errorf("got %d", response.StatusCode)
			}
		})
	}
	answered.Wait()
	// Each goes on sending what the server may read or not.
	chunk := make([]byte, 64<<10)
	for range 20 {
		running.Go(func() {
			conn, err := net.Dial("tcp", s.Address().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "POST /kapis/test.io/v1/a HTTP/1.1\r\nHost: a\r\nAuthorization: invalid\r\nContent-Length: 100000000\r\n\r\n")
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := conn.Write(chunk); err != nil {
					return
				}
			}
		})
	}
	r, _ := http.NewRequest(http.MethodGet, "http://"+s.Address().String()+"/kapis/test.io/v1/a", nil)
	r.Header.Set("Authorization", "jane")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("another client gets %d", response.StatusCode)
	}
	close(stop)
	running.Wait()
	wait.Until(t, "all drains to end", func() bool { return s.handler.(*filters).admission.drains.Held() == 0 })
}

// TestLongRunningOfAddress: the long-running requests of unauthenticated clients
// leave room for other addresses.
func TestLongRunningOfAddress(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Config.MaxLongRunning, o.Config.MaxLongRunningPerUser = 10, 4 }, nil)
	a := s.handler.(*filters).admission
	for _, test := range []struct {
		address string
		err     bool
	}{{"192.0.2.1", false}, {"192.0.2.1", false}, {"192.0.2.1", true}, {"192.0.2.2", false}, {"192.0.2.2", true}, {"192.0.2.3", false}, {"192.0.2.4", true}} {
		if _, err := a.admitLongRunning(caller{name: test.address}); (err != nil) != test.err {
			t.Errorf("%s: %v", test.address, err)
		}
	}
	release, err := a.admitLongRunning(caller{name: "jane", authenticated: true})
	if err != nil {
		t.Fatal(err)
	}
	release()
	if err := a.unauthenticatedLongRunning.Take("192.0.2.4", 1); !errors.Is(err, quota.ErrTotal) {
		t.Errorf("got %v", err)
	}
}

// TestOwnersOfServiceAccounts: service accounts of ten projects of one user had all places
// there are for service accounts, and those of others none.
func TestOwnersOfServiceAccounts(t *testing.T) {
	s := newServer(t, func(o *Options) {
		o.Config.MaxRequestsInFlight, o.Config.MaxRequestsInFlightPerUser = 100, 16
		o.OwnerOf = func(_ context.Context, namespace string) (creator, home string) {
			creator, rest, _ := strings.Cut(namespace, "-")
			workspace, _, _ := strings.Cut(rest, "-")
			return creator, creator + "-" + workspace
		}
	}, nil)
	f := s.handler.(*filters)
	places := func(namespace string) (held int) {
		for range 40 {
			who := f.callerOf(httptest.NewRequest(http.MethodGet, "/", nil), &user.DefaultInfo{Name: "system:serviceaccount:" + namespace + ":default"})
			if _, err := f.admission.admit(who); err == nil {
				held++
			}
		}
		return held
	}
	for _, test := range []struct {
		namespace string
		want      int
	}{
		{"mallory-1-a", 8}, {"mallory-1-b", 0}, {"mallory-1-c", 0}, // one workspace
		{"mallory-2-a", 4}, {"mallory-3-a", 2}, {"mallory-4-a", 1}, {"mallory-5-a", 1}, {"mallory-6-a", 0},
		{"jane-1-a", 8},
	} {
		if held := places(test.namespace); held != test.want {
			t.Errorf("%s has %d places, want %d", test.namespace, held, test.want)
		}
	}
}

// TestPlacesOfServiceAccounts: whoever creates projects makes any number of service accounts,
// which have the places of one user together, and those of one namespace half of these.
func TestPlacesOfServiceAccounts(t *testing.T) {
	s := newServer(t, func(o *Options) { o.Config.MaxRequestsInFlight, o.Config.MaxRequestsInFlightPerUser = 40, 10 }, nil)
	a := s.handler.(*filters).admission
	account := func(namespace, name string) caller {
		return s.handler.(*filters).callerOf(httptest.NewRequest(http.MethodGet, "/", nil), &user.DefaultInfo{Name: "system:serviceaccount:" + namespace + ":" + name})
	}
	all := 0
	for n := range 20 {
		held := 0
		for k := range 20 {
			if _, err := a.admit(account(fmt.Sprint("project-", n), fmt.Sprint(k))); err == nil {
				held++
			}
		}
		if held > 5 {
			t.Errorf("one namespace has %d places", held)
		}
		all += held
	}
	if all > 10 {
		t.Errorf("service accounts have %d places", all)
	}
	for _, other := range []caller{account("kube-system", "a"), {name: "jane", authenticated: true}} {
		release, err := a.admit(other)
		if err != nil {
			t.Errorf("%s: %v", other.name, err)
			continue
		}
		release()
	}
	if held := a.inFlight.Held(); held != int64(all) {
		t.Errorf("%d are held, not %d", held, all)
	}
}
