package identity

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// company is a provider where everybody's password is "right".
type company struct {
	asked atomic.Int32
	down  atomic.Bool
}

func (c *company) Authenticate(_ context.Context, username, password string) (External, error) {
	c.asked.Add(1)
	switch {
	case c.down.Load():
		return External{}, ErrUnavailable
	case password != "right":
		return External{}, ErrIncorrect
	}
	return External{Subject: username}, nil
}

// TestAttempts: a provider is not asked for what is guessed too fast.
func TestAttempts(t *testing.T) {
	now := time.Now()
	c := &company{}
	ldap, other := &Provider{Name: "ldap", Password: c}, &Provider{Name: "other", Password: c}
	a := NewAttempts(NewBackoff(3, time.Hour, func() time.Time { return now }))
	try := func(provider *Provider, name, password, address string) error {
		_, err := a.Authenticate(t.Context(), provider, Attempt{Name: name, Password: password, Address: address})
		return err
	}
	var throttled *Throttled
	for range 3 {
		if err := try(ldap, "bob", "wrong", "192.0.2.1"); !errors.Is(err, ErrIncorrect) {
			t.Fatal(err)
		}
	}
	asked := c.asked.Load()
	if err := try(ldap, "BOB", "right", "192.0.2.1"); !errors.As(err, &throttled) || c.asked.Load() != asked {
		t.Errorf("the fourth: %v", err)
	}
	for name, err := range map[string]error{
		"from elsewhere": try(ldap, "bob", "right", "192.0.2.2"), "somebody else": try(ldap, "eve", "right", "192.0.2.1"), "elsewhere": try(other, "bob", "right", "192.0.2.1"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	now = now.Add(2 * time.Second)
	if err := try(ldap, "bob", "right", "192.0.2.1"); err != nil {
		t.Errorf("a moment later: %v", err)
	}
	c.down.Store(true)
	for range 5 {
		if err := try(ldap, "bob", "right", "192.0.2.1"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("nobody's fault: %v", err)
		}
	}
	c.down.Store(false)
	c.asked.Store(0)
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { _ = try(ldap, "carol", "wrong", "192.0.2.3") })
	}
	all.Wait()
	if n := c.asked.Load(); n > 3+attemptsAtOnce {
		t.Errorf("of 100 at once %d were made", n)
	}
}

// TestFailuresAtOnce: none is lost.
func TestFailuresAtOnce(t *testing.T) {
	b := NewBackoff(1, time.Hour, time.Now)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 50 {
				b.Failed("bob", "192.0.2.1")
			}
		})
	}
	all.Wait()
	if n := b.known(b.users, key("bob", "192.0.2.1")).Count; n != 64*50 {
		t.Errorf("%d are counted", n)
	}
}
