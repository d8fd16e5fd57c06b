package identity

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

const (
	// checkTime is how long a check of a password takes.
	checkTime = 60 * time.Millisecond
	// retryTime is how long a client of the attack takes for its next request.
	retryTime = 50 * time.Millisecond
)

// slowUsers takes checkTime for each check. Every user but made-up ones exists.
type slowUsers struct {
	users
	hash string
}

func (s slowUsers) Get(ctx context.Context, name string) (*iamv1alpha2.User, error) {
	time.Sleep(checkTime)
	if madeUp(name) {
		return s.users.Get(ctx, name)
	}
	user := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{EncryptedPassword: s.hash}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}
	user.Name = name
	return user, nil
}

func madeUp(name string) bool { return name[0] == 'x' }

// slowProvider is an identity provider with the same users.
type slowProvider struct{}

func (slowProvider) Authenticate(_ context.Context, name, given string) (External, error) {
	time.Sleep(checkTime)
	if madeUp(name) || given != password {
		return External{}, ErrIncorrect
	}
	return External{Subject: name}, nil
}

// endpoint is one of the checks that wait for turns, with one check at once and 32
// waiting, as on a node with two processors.
type endpoint struct {
	turns   *turns
	succeed func(name, address string)
	check   func(ctx context.Context, attempt Attempt) error
}

func newEndpoints(t *testing.T) map[string]func() endpoint {
	cheapest := passwordhash.Hasher{Cost: bcrypt.MinCost}
	hash, err := cheapest.Hash(password)
	if err != nil {
		t.Fatal(err)
	}
	newPasswords := func() *Passwords {
		passwords, err := NewPasswords(slowUsers{hash: hash}, cheapest, patient())
		if err != nil {
			t.Fatal(err)
		}
		passwords.turns = newTurns(1, waitingPerCheck)
		return passwords
	}
	return map[string]func() endpoint{
		"password": func() endpoint {
			p := newPasswords()
			return endpoint{p.turns, p.backoff.Succeeded, func(ctx context.Context, attempt Attempt) error {
				_, err := p.Authenticate(ctx, attempt)
				return err
			}}
		},
		"HTTP Basic": func() endpoint {
			p := newPasswords()
			p.Version = func(context.Context, string) string { return "" }
			return endpoint{p.turns, p.backoff.Succeeded, func(ctx context.Context, attempt Attempt) error {
				_, err := p.AuthenticateRepeated(ctx, attempt)
				return err
			}}
		},
		"client secret": func() endpoint {
			p := newPasswords()
			secrets := p.ClientSecrets(patient())
			succeed := func(name, address string) { secrets.backoff.Succeeded("client/"+name, address) }
			return endpoint{p.turns, succeed, func(ctx context.Context, attempt Attempt) error {
				return secrets.Check(ctx, ClientSecret{
					Client: attempt.Name, Address: attempt.Address, Stored: hash, Sent: attempt.Password, Hashed: true,
					Verify: func(sent string) bool {
						_, err := slowProvider{}.Authenticate(ctx, attempt.Name, sent)
						return err == nil
					},
				})
			}}
		},
		"identity provider": func() endpoint {
			provider := &Provider{Name: "ldap", Password: slowProvider{}}
			a := NewAttempts(patient())
			a.turns["ldap"] = newTurns(1, waitingPerCheck)
			succeed := func(name, address string) { a.backoff.Succeeded("ldap/"+name, address) }
			return endpoint{a.turns["ldap"], succeed, func(ctx context.Context, attempt Attempt) error {
				_, err := a.Authenticate(ctx, provider, attempt)
				return err
			}}
		},
	}
}

// TestMadeUpNames: 100 clients, each of which tries another made-up name as soon as it
// has an answer, keep no user out who logged in from the address before, and leave
// turns for the first login from any other address. 20 of them used to keep out everyone
// at their address, and 100 with as many addresses everyone.
func TestMadeUpNames(t *testing.T) {
	const attackers, logins = 100, 20
	for name, newEndpoint := range newEndpoints(t) {
		for _, test := range []struct {
			name      string
			addresses int
			// mistaken is how many attempts are checked at least of one address that tries
			// twice a second and has no more turns than each of those that attack.
			mistaken int
		}{
			{"one address", 1, logins},
			{"many addresses", attackers, 2},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					endpoint := newEndpoint()
					ctx, stop := context.WithCancel(t.Context())
					address := func(n int) string { return fmt.Sprintf("198.51.100.%d", n%test.addresses) }
					var all sync.WaitGroup
					var refused atomic.Int32
					for n := range attackers {
						all.Go(func() {
							for request := 0; ctx.Err() == nil; request++ {
								err := endpoint.check(ctx, Attempt{Name: fmt.Sprintf("x%d-%d", n, request), Password: "wrong", Address: address(n)})
								if errors.Is(err, ErrBusy) {
									refused.Add(1)
								}
								time.Sleep(retryTime)
							}
						})
					}
					time.Sleep(10 * time.Second) // each address was served
					count := func(login func(n int) error) (checked int) {
						for n := range logins {
							if err := login(n); err == nil || errors.Is(err, ErrIncorrect) {
								checked++
							} else if !errors.Is(err, ErrBusy) {
								t.Error(err)
							}
							time.Sleep(time.Second / 2)
						}
						return checked
					}
					user := func(n int) string { return fmt.Sprintf("user-%d", n) }
					if n := count(func(n int) error {
						endpoint.succeed(user(n), address(n))
						return endpoint.check(ctx, Attempt{Name: user(n), Password: password, Address: address(n)})
					}); n != logins {
						t.Errorf("%d of %d users got in who logged in from an address of the attack before", n, logins)
					}
					if n := count(func(n int) error {
						return endpoint.check(ctx, Attempt{Name: user(n), Password: password, Address: fmt.Sprintf("192.0.2.%d", n)})
					}); n != logins {
						t.Errorf("%d of %d users got in for the first time from another address", n, logins)
					}
					if n := count(func(n int) error {
						return endpoint.check(ctx, Attempt{Name: user(n), Password: "mistaken", Address: "203.0.113.1"})
					}); n < test.mistaken {
						t.Errorf("%d of %d attempts of an address were checked, want %d", n, logins, test.mistaken)
					} else {
						t.Logf("%d of %d attempts of an address were checked", n, logins)
					}
					stop()
					all.Wait()
					synctest.Wait()
					if refused.Load() == 0 {
						t.Error("the queue was never full")
					}
					time.Sleep(time.Minute) // checks of HTTP Basic go on without their client
					endpoint.turns.requireUnused(t)
				})
			})
		}
	}
}
