package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// length is how many checks wait.
func (t *turns) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.known.waiters) + len(t.unknown.waiters)
}

// unknown is an attempt of a user who did not log in from an address before.
func unknown(address, user string) Admission {
	return Admission{user: user, address: Network(address)}
}

// known is an attempt of a user who did, with failures since.
func known(address, user string, failures int) Admission {
	return Admission{user: user, address: Network(address), known: true, failures: failures}
}

// requireUnused checks that nothing is kept of checks that ended.
func (t *turns) requireUnused(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	left := t.total
	for _, queue := range []*turnQueue{t.known, t.unknown} {
		left += queue.total + len(queue.waiters) + len(queue.addresses) + len(queue.names) + len(queue.pairs)
	}
	if left != 0 {
		tb.Errorf("left %+v, known %+v, unknown %+v", t, t.known, t.unknown)
	}
}

// TestTurnsOfAnAddress: however many checks an address asks for, another address
// waits for the one that runs and for one of each other address.
func TestTurnsOfAnAddress(t *testing.T) {
	turns := newTurns(1, 8)
	var mu sync.Mutex
	var served []string
	var all sync.WaitGroup
	check := func(address string) {
		length := turns.length()
		all.Go(func() {
			release, err := turns.take(t.Context(), unknown(address, address))
			if err != nil {
				t.Errorf("%s: %v", address, err)
				return
			}
			mu.Lock()
			served = append(served, address)
			mu.Unlock()
			release()
		})
		wait.Until(t, "the check to wait", func() bool { return turns.length() == length+1 })
	}
	release, err := turns.take(t.Context(), unknown("192.0.2.1", "192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		check("192.0.2.1")
	}
	if _, err := turns.take(t.Context(), unknown("192.0.2.1", "192.0.2.1")); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the share of an address: %v", err)
	}
	check("192.0.2.2")
	check("192.0.2.3")
	check("192.0.2.2")
	release()
	all.Wait()
	want := []string{"192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1", "192.0.2.1"}
	if fmt.Sprint(served) != fmt.Sprint(want) {
		t.Errorf("served %v", served)
	}
	turns.requireUnused(t)
}

// TestTurnsThatHang: checks that hang at one address leave turns for others.
func TestTurnsThatHang(t *testing.T) {
	turns := newTurns(4, 8)
	for range share(4) {
		if _, err := turns.take(t.Context(), unknown("2001:db8::1", "jane")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error)
	go func() {
		_, err := turns.take(ctx, unknown("2001:db8::2", "jane")) // of the same network
		outcome <- err
	}()
	wait.Until(t, "the check to wait", func() bool { return turns.length() == 1 })
	release, err := turns.take(t.Context(), unknown("2001:db8:1::1", "john"))
	if err != nil {
		t.Fatal(err)
	}
	release()
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) || turns.length() != 0 {
		t.Errorf("one whose client went away: %v, left %+v", err, turns)
	}
}

// TestTurnOrder: the next check is that of the address and name that were served the
// longest ago, and a full queue takes a check of an address or name that waits less
// than another one.
func TestTurnOrder(t *testing.T) {
	for _, test := range []struct {
		name    string
		checks  []string // address/name that wait, in their order; + for known users, ! for failures
		served  string
		refused string
	}{
		// 36 wrong secrets of one client used to hold up the users at the address.
		{"names of one address", []string{"a/mallory", "a/mallory", "a/jane", "a/john"}, "a/jane a/john a/mallory a/mallory", ""},
		{"a name from many addresses", []string{"a/admin", "b/admin", "c/admin", "d/jane"}, "d/jane b/admin c/admin a/admin", ""},
		{"the share of an address", []string{"a/mallory", "a/mallory", "a/mallory", "a/mallory", "a/jane"},
			"a/jane a/mallory a/mallory a/mallory", "a/mallory"},
		{"the share of a name", []string{"a/admin", "a/admin", "b/admin", "b/admin", "c/admin"},
			"b/admin c/admin a/admin b/admin", "a/admin"},
		{"a full queue", []string{"a/x", "a/x", "a/y", "b/x", "b/y", "b/z", "c/v", "c/w", "d/jane"},
			"", "a/y"},
		{"an address that was served lately", []string{"a/x", "b/x", "c/x", "d/x", "e/y", "f/y", "g/y", "h/y", "i/jane"},
			"", "a/x"},
		// Made-up names used to keep out the users at the address.
		{"known users", []string{"a/x", "a/y", "a/z", "a/v", "+a/jane", "+a/john"}, "+a/jane a/x +a/john a/y a/z a/v", ""},
		{"known users with failures", []string{"+a/x!", "+a/y!", "+a/z", "+a/v", "+a/jane"}, "+a/x! +a/z +a/v +a/jane", "+a/y!"},
	} {
		t.Run(test.name, func(t *testing.T) {
			turns := newTurns(1, 8)
			release, err := turns.take(t.Context(), unknown("a", "mallory"))
			if strings.Contains(test.name, "many") || strings.Contains(test.name, "of a name") {
				release()
				release, err = turns.take(t.Context(), unknown("a", "admin"))
			}
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			var served, refused []string
			var all sync.WaitGroup
			for _, check := range test.checks {
				mu.Lock()
				before := turns.length() + len(refused)
				mu.Unlock()
				address, name, _ := strings.Cut(strings.Trim(check, "+!"), "/")
				admission := unknown(address, name)
				if strings.HasPrefix(check, "+") {
					admission = known(address, name, strings.Count(check, "!"))
				}
				all.Go(func() {
					release, err := turns.take(t.Context(), admission)
					mu.Lock()
					defer mu.Unlock()
					if errors.Is(err, ErrBusy) {
						refused = append(refused, check)
						return
					}
					served = append(served, check)
					release()
				})
				wait.Until(t, "the check to wait", func() bool {
					mu.Lock()
					defer mu.Unlock()
					return turns.length()+len(refused) > before
				})
			}
			release()
			all.Wait()
			if got := strings.Join(served, " "); test.served != "" && got != test.served {
				t.Errorf("served %s, want %s", got, test.served)
			}
			if got := strings.Join(refused, " "); got != test.refused {
				t.Errorf("refused %s, want %s", got, test.refused)
			}
		})
	}
}

// TestNewAddresses: of addresses that were never served, chance decides which wait, and
// trying again changes nothing.
func TestNewAddresses(t *testing.T) {
	turns := newTurns(1, 8)
	enter := func(address string) error {
		turns.mu.Lock()
		defer turns.mu.Unlock()
		return turns.enter(turns.newWaiter(unknown(address, address)))
	}
	for n := range 1 + turns.waiting {
		if err := enter(fmt.Sprintf("192.0.2.%d", n)); err != nil {
			t.Fatal(err)
		}
	}
	const newcomers = 64
	refused := 0
	for n := range newcomers {
		address := fmt.Sprintf("198.51.100.%d", n)
		if enter(address) == nil {
			continue
		}
		refused++
		for range 10 {
			if err := enter(address); !errors.Is(err, ErrBusy) {
				t.Fatalf("%s waits after it was refused: %v", address, err)
			}
		}
	}
	if refused == 0 || refused == newcomers {
		t.Errorf("%d of %d new addresses were refused", refused, newcomers)
	}
	if n := turns.length(); n != turns.waiting {
		t.Errorf("%d checks wait, want %d", n, turns.waiting)
	}
}
