package identity

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// countedUsers counts how often a user is read, which each check of a password does once.
type countedUsers struct {
	users
	mu    sync.Mutex
	count int
}

func (c *countedUsers) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return c.users.Get(ctx, name)
}

// TestRepeatedPassword: a correct password that is sent with each request takes one
// check in a while; one user with Basic authentication used to take all checks.
func TestRepeatedPassword(t *testing.T) {
	now := epoch
	directory := &countedUsers{users: newUsers(t)}
	backoff := NewBackoff(3, time.Hour, func() time.Time { return now })
	passwords, err := NewPasswords(directory, hasher(t), backoff)
	if err != nil {
		t.Fatal(err)
	}
	version := ""
	passwords.Version = func(context.Context, string) string { return version }
	for _, step := range []struct {
		name   string
		do     func()
		given  string
		from   string
		want   error
		checks int
	}{
		{"the first request", nil, password, "192.0.2.1", nil, 1},
		{"the next one", nil, password, "192.0.2.1", nil, 0},
		{"from another address", nil, password, "192.0.2.2", nil, 1},
		{"a wrong password", nil, "wrong", "192.0.2.1", ErrIncorrect, 1},
		{"the same wrong one", nil, "wrong", "192.0.2.1", ErrIncorrect, 1},
		{"the correct one still", nil, password, "192.0.2.1", nil, 0},
		{"after the time", func() { now = now.Add(rememberedFor) }, password, "192.0.2.1", nil, 1},
		{"after the user changed", func() {
			version = "2"
			changed := directory.users["admin"].DeepCopy()
			changed.ResourceVersion = version
			directory.users["admin"] = changed
		}, password, "192.0.2.1", nil, 1},
		{"after that change", nil, password, "192.0.2.1", nil, 0},
		{"a user that is away", func() { version = "" }, password, "192.0.2.1", nil, 1},
	} {
		t.Run(step.name, func(t *testing.T) {
			if step.do != nil {
				step.do()
			}
			directory.count = 0
			_, err := passwords.AuthenticateRepeated(t.Context(), Attempt{Name: "admin", Password: step.given, Address: step.from})
			if !errors.Is(err, step.want) || directory.count != step.checks {
				t.Errorf("got %v after %d checks, want %v after %d", err, directory.count, step.want, step.checks)
			}
		})
	}
	t.Run("many at once share a check", func(t *testing.T) {
		version = "2"
		now = now.Add(time.Minute)
		directory.count = 0
		var all sync.WaitGroup
		for range 60 {
			all.Go(func() {
				if _, err := passwords.AuthenticateRepeated(t.Context(), Attempt{Name: "admin", Password: password, Address: "192.0.2.1"}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if directory.count > 2 { // one may come between the check and its memory
			t.Errorf("%d checks", directory.count)
		}
	})
	t.Run("no guesses while failures count", func(t *testing.T) {
		for range 3 {
			backoff.Failed("admin", "192.0.2.1")
		}
		if passwords.recall(t.Context(), passwords.remembered.hash("admin", "192.0.2.1", password), Attempt{Name: "admin", Address: "192.0.2.1"}) != nil {
			t.Error("a guess is compared with what is remembered")
		}
	})
}

// TestOwnerBehindSharedAddress: failures of another client at the address of a user who
// logged in from there do not keep the user out. They used to, for half an hour.
func TestOwnerBehindSharedAddress(t *testing.T) {
	now := epoch
	b := NewBackoff(5, 30*time.Minute, func() time.Time { return now })
	b.sleep = func(_ context.Context, d time.Duration) error { now = now.Add(d); return nil }
	b.Succeeded("jane", "192.0.2.9")
	checked := 0
	for range 20 {
		started := now
		for range 3 { // attempts of the other one
			now = now.Add(time.Second)
			if admission, err := b.Admit(t.Context(), "jane", "192.0.2.9"); err == nil && admission.Recheck(t.Context()) == nil {
				checked++
				b.Failed("jane", "192.0.2.9")
			}
		}
		admission, err := b.Admit(t.Context(), "jane", "192.0.2.9")
		if err == nil {
			err = admission.Recheck(t.Context())
		}
		if took := now.Sub(started); err != nil || took > 15*time.Second {
			t.Fatalf("the owner: %v after %s", err, took)
		}
		b.Failed("jane", "192.0.2.9") // so that failures go on to count
	}
	if most := 5 + int(now.Sub(epoch)/retryInterval); checked > most {
		t.Errorf("%d guesses in %s", checked, now.Sub(epoch))
	}
	refused := 0
	for range 100 { // as fast as can be
		b.sleep = func(context.Context, time.Duration) error { return nil }
		if _, err := b.Admit(t.Context(), "jane", "192.0.2.9"); err != nil {
			refused++
		}
	}
	if refused < 90 {
		t.Errorf("%d of 100 attempts at once are refused", refused)
	}
}

// TestClientSecrets: wrong secrets of a client are counted at their address and delay
// neither its own correct secret nor other addresses.
func TestClientSecrets(t *testing.T) {
	now := epoch
	backoff := NewBackoff(3, time.Hour, func() time.Time { return now })
	backoff.sleep = func(context.Context, time.Duration) error { return nil }
	passwords, err := NewPasswords(users{}, passwordhash.Hasher{Cost: 4}, patient())
	if err != nil {
		t.Fatal(err)
	}
	secrets := passwords.ClientSecrets(backoff)
	stored, verified := "right", 0
	check := func(sent, address string) error {
		return secrets.Check(t.Context(), ClientSecret{Client: "app", Address: address, Stored: stored, Sent: sent, Hashed: true,
			Verify: func(sent string) bool { verified++; return sent == stored }})
	}
	if err := check("right", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		_ = check("wrong", "192.0.2.1")
	}
	var throttled *Throttled
	if err := check("wrong", "192.0.2.1"); !errors.As(err, &throttled) || verified > 10 {
		t.Errorf("wrong secrets: %v after %d comparisons", err, verified)
	}
	verified = 0
	if err := check("right", "192.0.2.1"); err != nil || verified != 0 {
		t.Errorf("the correct secret: %v after %d comparisons", err, verified)
	}
	if err := check("wrong", "192.0.2.2"); !errors.Is(err, ErrIncorrect) {
		t.Errorf("at another address: %v", err)
	}
	if stored = "changed"; check("right", "192.0.2.3") == nil {
		t.Error("a secret that was replaced is accepted")
	}
}
