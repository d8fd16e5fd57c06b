package oauth

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// TestDevices: an address has its part of the devices, and all together no more than may be.
func TestDevices(t *testing.T) {
	d := NewDevices()
	now, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits
	count := func(address string) (n int) {
		for range 2 * devicesAtOnce {
			if d.take(now, address) {
				n++
			}
		}
		return n
	}
	if n := count("192.0.2.1"); n > devicesAtOnce/devicesPart+1 {
		t.Errorf("one address has %d", n)
	}
	if !d.take(now, "192.0.2.2") {
		t.Error("nothing is left for others")
	}
	if n := count("2001:db8::1"); n > devicesAtOnce/devicesPart+1 || d.take(now, "2001:db8::2") {
		t.Errorf("one host has %d and more", n)
	}
	if n := count("192.0.2.3"); n > 2 {
		t.Errorf("all together have %d more", n)
	}
	if none := (*Devices)(nil); !none.take(now, "192.0.2.1") {
		t.Error("without a bound")
	}
}

// TestDevicesAreShared: whoever asks for devices without end, from several addresses, does not
// keep another address from its first; 17 of 20 got 429.
func TestDevicesAreShared(t *testing.T) {
	for _, test := range []struct {
		name      string
		addresses []string // of who asks without end
		others    int
		together  bool // the others ask at once, not one after the other
		longest   time.Duration
	}{
		{"one address", []string{"127.7.0.1"}, 20, false, time.Second},
		{"four addresses", []string{"127.7.0.1", "127.7.0.2", "127.7.0.3", "127.7.0.4"}, 20, false, 3 * time.Second},
		{"four addresses, and others that come at once", []string{"127.7.0.1", "127.7.0.2", "127.7.0.3", "127.7.0.4"}, 20, true, 13 * time.Second},
		{"four networks of IPv6", []string{"[2001:db8:0:1::1]", "[2001:db8:0:2::1]", "[2001:db8:0:3::1]", "[2001:db8:0:4::1]"}, 20, false, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			w.Devices = NewDevices()
			synctest.Test(t, func(t *testing.T) {
				ask := func(address string) int {
					r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/oauth/device_authorization", strings.NewReader("client_id=native"))
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					r.RemoteAddr = address + ":1"
					answer := httptest.NewRecorder()
					if err := w.authorizeDevice(answer, r); err != nil {
						t.Error(err)
					}
					return answer.Code
				}
				started := time.Now()
				over, end := context.WithCancel(t.Context())
				var running, asking sync.WaitGroup
				for _, address := range test.addresses {
					for range 5 {
						running.Go(func() {
							for over.Err() == nil {
								ask(address)
								time.Sleep(10 * time.Millisecond)
							}
						})
					}
				}
				time.Sleep(10 * time.Second) // what was left is used up
				for n := range test.others {
					once := func() {
						asked := time.Now()
						if code := ask(fmt.Sprint("192.0.2.", n)); code != http.StatusOK || time.Since(asked) > test.longest {
							t.Errorf("another address: %d after %s", code, time.Since(asked))
						}
					}
					if test.together {
						asking.Go(once)
					} else {
						once()
					}
				}
				asking.Wait()
				end()
				running.Wait()
				stored := &iamv1alpha2.DeviceAuthorizationList{}
				most := devicesAtOnce + int(devicesPerSecond*time.Since(started).Seconds()) + 1
				if err := w.cluster.List(t.Context(), stored); err != nil || len(stored.Items) > most {
					t.Errorf("%d devices are stored, want %d at the most: %v", len(stored.Items), most, err)
				}
			})
		})
	}
}
