package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// TestP17Backoff: the more attempts fail, the longer the next waits, at the
// address they come from.
func TestP17Backoff(t *testing.T) {
	now := epoch
	b := NewBackoff(5, 30*time.Minute, func() time.Time { return now })
	wait := func(user, address string) time.Duration {
		var throttled *Throttled
		if _, err := b.Admit(t.Context(), user, address); errors.As(err, &throttled) {
			return throttled.After
		}
		return 0
	}
	fail := func(user, address string, times int) {
		for range times {
			b.Failed(user, address)
		}
	}
	for _, step := range []struct {
		name  string
		do    func()
		user  string
		from  string
		waits time.Duration
	}{
		{"before anything", nil, "admin", "192.0.2.1", 0},
		{"four failures are free", func() { fail("admin", "192.0.2.1", 4) }, "admin", "192.0.2.1", 0},
		{"the fifth is not", func() { fail("admin", "192.0.2.1", 1) }, "admin", "192.0.2.1", time.Second},
		// Anybody could lock an administrator out (ks#4655).
		{"the user elsewhere waits for nothing", nil, "admin", "192.0.2.2", 0},
		{"others at the address neither", nil, "jane", "192.0.2.1", 0},
		{"another way to write the name is the same", nil, "Admin", "192.0.2.1", time.Second},
		{"another way to write the address too", nil, "admin", "::ffff:192.0.2.1", time.Second},
		{"half of it later", func() { now = now.Add(500 * time.Millisecond) }, "admin", "192.0.2.1", 500 * time.Millisecond},
		{"when it is over", func() { now = now.Add(500 * time.Millisecond) }, "admin", "192.0.2.1", 0},
		{"each failure doubles it", func() { fail("admin", "192.0.2.1", 3) }, "admin", "192.0.2.1", 8 * time.Second},
		{"up to as long as failures are remembered", func() { fail("admin", "192.0.2.1", 100) }, "admin", "192.0.2.1", 30 * time.Minute},
		{"then they are forgotten", func() { now = now.Add(30 * time.Minute) }, "admin", "192.0.2.1", 0},
		{"four more are free again", func() { fail("admin", "192.0.2.1", 4) }, "admin", "192.0.2.1", 0},
		{"a success forgets them", func() { fail("admin", "192.0.2.1", 3); b.Succeeded("admin", "192.0.2.1") }, "admin", "192.0.2.1", 0},
		{"addresses of one IPv6 network are one", func() {
			for n := range 5 {
				fail("jane", fmt.Sprintf("2001:db8::%d", n+1), 1)
			}
		}, "jane", "2001:db8::ffff", time.Second},
		{"another network is another", nil, "jane", "2001:db8:0:1::1", 0},
	} {
		if step.do != nil {
			step.do()
		}
		if got := wait(step.user, step.from); got != step.waits {
			t.Errorf("%s: waits %s, want %s", step.name, got, step.waits)
		}
	}
}

// TestSharedAddress: the failures of others at an address never refuse a user who
// logged in from there, and let everyone else take turns. A visitor who failed once
// a second used to keep everybody out who shared the address.
func TestSharedAddress(t *testing.T) {
	now := epoch
	b := NewBackoff(5, 30*time.Minute, func() time.Time { return now })
	var slept time.Duration
	b.sleep = func(_ context.Context, d time.Duration) error { slept = max(slept, d); return nil }
	const address = "192.0.2.9"
	b.Succeeded("admin", address)
	attempt := func(user string) error {
		slept = 0
		_, err := b.Admit(t.Context(), user, address)
		return err
	}
	for n := range 60 {
		b.Failed(fmt.Sprintf("user-%d", n), address)
	}
	for second := range 150 {
		now = now.Add(time.Second)
		if name := fmt.Sprintf("guess-%d", second); attempt(name) == nil {
			b.Failed(name, address)
		}
		if err := attempt("admin"); err != nil || slept > 0 {
			t.Fatalf("second %d: a user who logged in from there: %v after %s", second, err, slept)
		}
		if err := attempt(fmt.Sprintf("new-%d", second)); err != nil || slept > time.Second {
			t.Fatalf("second %d: a user who never failed: %v after %s", second, err, slept)
		}
	}
	passed := 0
	for n := range 1000 { // as fast as can be
		if attempt(fmt.Sprintf("fast-%d", n)) == nil {
			passed++
		}
	}
	if most := turnsAtOnce + int(longestTurn/time.Second)*turnsPerSecond; passed > most {
		t.Errorf("%d attempts at once, at most %d", passed, most)
	}
	var throttled *Throttled
	if err := attempt("another"); !errors.As(err, &throttled) || throttled.After <= 0 {
		t.Errorf("one too many: %v", err)
	}
	for range 5 {
		b.Failed("admin", address)
	}
	passed = 0
	for range 100 {
		if attempt("admin") == nil {
			passed++
		}
	}
	if most := 1 + int(longestRetry/retryInterval); passed > most {
		t.Errorf("%d attempts at once of a user with failures of its own, at most %d", passed, most)
	}
	if _, err := b.Admit(t.Context(), "another", "192.0.2.10"); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

// TestBackoffEarlier: what other replicas wrote down counts, and nothing is
// lost when it cannot be read.
func TestBackoffEarlier(t *testing.T) {
	earlier, broken := Failures{Count: 7, Last: epoch}, error(nil)
	b := NewBackoff(5, time.Hour, func() time.Time { return epoch })
	b.Earlier = func(context.Context, string, string) (Failures, error) { return earlier, broken }
	for _, test := range []struct {
		name    string
		prepare func()
		after   time.Duration
	}{
		{"of another replica", nil, 4 * time.Second},
		{"more of our own", func() {
			for range 8 {
				b.Failed("jane", "192.0.2.1")
			}
		}, 8 * time.Second},
		{"Kubernetes is away", func() { broken = errors.New("away") }, 8 * time.Second},
	} {
		if test.prepare != nil {
			test.prepare()
		}
		var throttled *Throttled
		if _, err := b.Admit(t.Context(), "jane", "192.0.2.1"); !errors.As(err, &throttled) || throttled.After != test.after {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	for _, test := range []struct {
		name    string
		earlier Failures
		known   bool
	}{
		{"a user who did not log in before", Failures{Count: 2, Last: epoch}, false},
		{"a user who logged in at another replica", Failures{Count: 2, Last: epoch, Succeeded: true}, true},
	} {
		earlier, broken = test.earlier, nil
		if admission, err := b.Admit(t.Context(), "john", "192.0.2.1"); err != nil || admission.known != test.known || admission.failures != 2 {
			t.Errorf("%s: admitted as %+v, %v", test.name, admission, err)
		}
	}
}

// TestThrottled: while a user has to wait, no password is looked at, right ones
// neither; many attempts at once get no more than the free ones and those that
// were being checked.
func TestThrottled(t *testing.T) {
	passwords, err := NewPasswords(newUsers(t), hasher(t), NewBackoff(5, time.Hour, func() time.Time { return epoch }))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var incorrect, waited int
	var running sync.WaitGroup
	for range waitingPerCheck / 2 {
		running.Go(func() {
			_, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin", Password: "wrong", Address: "192.0.2.1"})
			mu.Lock()
			defer mu.Unlock()
			var throttled *Throttled
			switch {
			case errors.Is(err, ErrIncorrect):
				incorrect++
			case errors.As(err, &throttled):
				waited++
			}
		})
	}
	running.Wait()
	if most := 5 + passwords.turns.running - 1; incorrect < 5 || incorrect > most || incorrect+waited != waitingPerCheck/2 {
		t.Errorf("%d passwords were checked at once, %d had to wait", incorrect, waited)
	}
	var throttled *Throttled
	if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin@example.com", Password: password, Address: "192.0.2.1"}); !errors.As(err, &throttled) {
		t.Errorf("the right password in between: %v", err)
	}
	if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin", Password: password, Address: "192.0.2.2"}); err != nil {
		t.Errorf("elsewhere: %v", err)
	}
}

// TestRehash: whoever logs in gets the hash new passwords get.
func TestRehash(t *testing.T) {
	all := newUsers(t)
	for _, test := range []struct {
		name   string
		hasher passwordhash.Hasher
		again  bool
	}{
		{"as it is", passwordhash.Hasher{Cost: bcrypt.DefaultCost - 4}, false},
		{"at a higher cost", passwordhash.Hasher{Cost: bcrypt.DefaultCost - 3}, true},
		{"argon2id", passwordhash.Hasher{Algorithm: passwordhash.Argon2id, Random: rand.Reader}, true},
		{"and back", passwordhash.Hasher{Cost: bcrypt.DefaultCost - 4}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			passwords, err := NewPasswords(all, test.hasher, patient())
			if err != nil {
				t.Fatal(err)
			}
			before := all["admin"].Spec.EncryptedPassword
			if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin", Password: "wrong"}); !errors.Is(err, ErrIncorrect) || all["admin"].Spec.EncryptedPassword != before {
				t.Fatalf("a wrong password: %v", err)
			}
			returned, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin", Password: password})
			if err != nil {
				t.Fatal(err)
			}
			after := all["admin"].Spec.EncryptedPassword
			// What is begun with the password is compared by the hash that is stored.
			if returned.Spec.EncryptedPassword != after {
				t.Error("the user is returned with the former hash")
			}
			if (before != after) != test.again || !test.hasher.Current(after) {
				t.Errorf("before %s, after %s", before, after)
			}
			if _, err := passwords.Authenticate(t.Context(), Attempt{Name: "admin", Password: password}); err != nil {
				t.Errorf("with the new hash: %v", err)
			}
		})
	}
}
