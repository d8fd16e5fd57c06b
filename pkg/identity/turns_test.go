package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// length is how many checks wait.
func (t *turns) length() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiters
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
			release, err := turns.take(t.Context(), address)
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
	release, err := turns.take(t.Context(), "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for range 4 {
		check("192.0.2.1")
	}
	if _, err := turns.take(t.Context(), "192.0.2.1"); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the share of an address: %v", err)
	}
	check("192.0.2.2")
	check("192.0.2.3")
	check("192.0.2.2")
	release()
	all.Wait()
	want := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1"}
	if fmt.Sprint(served) != fmt.Sprint(want) {
		t.Errorf("served %v", served)
	}
	if len(turns.queues)+len(turns.order)+len(turns.active)+turns.total+turns.waiters != 0 {
		t.Errorf("left %+v", turns)
	}
}

// TestTurnsThatHang: checks that hang at one address leave turns for others.
func TestTurnsThatHang(t *testing.T) {
	turns := newTurns(4, 8)
	for range share(4) {
		if _, err := turns.take(t.Context(), "2001:db8::1"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	outcome := make(chan error)
	go func() {
		_, err := turns.take(ctx, "2001:db8::2") // of the same network
		outcome <- err
	}()
	wait.Until(t, "the check to wait", func() bool { return turns.length() == 1 })
	release, err := turns.take(t.Context(), "2001:db8:1::1")
	if err != nil {
		t.Fatal(err)
	}
	release()
	cancel()
	if err := <-outcome; !errors.Is(err, context.Canceled) || turns.length() != 0 || len(turns.order) != 0 {
		t.Errorf("one whose client went away: %v, left %+v", err, turns)
	}
}

// TestTurnOfContext: the turn of another hash counts for the address of its request.
func TestTurnOfContext(t *testing.T) {
	passwords := &Passwords{turns: newTurns(1, 2)}
	release, err := passwords.Turn(request.WithAddress(t.Context(), "192.0.2.1"))
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if passwords.turns.active["192.0.2.1"] != 1 {
		t.Errorf("active %v", passwords.turns.active)
	}
}
