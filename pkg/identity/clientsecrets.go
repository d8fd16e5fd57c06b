package identity

import (
	"context"
	"time"
)

// clientSecretFor is how long after its last use a correct secret of a client is
// remembered.
const clientSecretFor = 10 * time.Minute

// ClientSecrets checks the secrets of OAuth clients. Failures are counted for a client at
// an address and delay its next attempts there. A correct secret of the last minutes is
// never delayed, so that failures of others at an address keep no client out.
type ClientSecrets struct {
	backoff    *Backoff
	turns      *turns
	remembered *rememberedPasswords
}

// ClientSecret is a secret that a client sent.
type ClientSecret struct {
	Client, Address string
	// Stored is the secret that is known of the client, and Sent the one to check.
	Stored, Sent string
	// Hashed is whether Verify takes the work of a password hash.
	Hashed bool
	// Verify compares the secrets.
	Verify func(sent string) bool
}

// ClientSecrets returns a checker whose hashes are compared in the turns of passwords.
func (p *Passwords) ClientSecrets(backoff *Backoff) *ClientSecrets {
	backoff.NeverRefuse = true
	return &ClientSecrets{backoff: backoff, turns: p.turns, remembered: newRememberedPasswords(p.hasher.Random, backoff.Now)}
}

// Check returns nil for the secret of a client. Errors are ErrIncorrect, ErrBusy, a
// *Throttled and the context's. Without a receiver nothing is counted.
func (s *ClientSecrets) Check(ctx context.Context, secret ClientSecret) error {
	if s == nil {
		if secret.Verify(secret.Sent) {
			return nil
		}
		return ErrIncorrect
	}
	hash := s.remembered.hash(secret.Client, secret.Stored, secret.Sent)
	if s.recall(hash) {
		return nil
	}
	counted := "client/" + secret.Client // no user is called so
	admission, err := s.backoff.Admit(ctx, counted, secret.Address)
	if err != nil {
		return err
	}
	if secret.Hashed {
		release, err := s.turns.take(ctx, admission)
		if err != nil {
			return err
		}
		defer release()
		if s.recall(hash) { // another request was checked meanwhile
			return nil
		}
		if err := admission.Recheck(ctx); err != nil {
			return err
		}
	}
	if !secret.Verify(secret.Sent) {
		s.backoff.Failed(counted, secret.Address)
		return ErrIncorrect
	}
	s.backoff.Succeeded(counted, secret.Address)
	s.remember(hash)
	return nil
}

// recall reports whether a secret is remembered, and remembers it longer.
func (s *ClientSecrets) recall(hash string) bool {
	expires, found := s.remembered.correct.Get(hash)
	if !found || !s.backoff.Now().Before(expires.(time.Time)) {
		return false
	}
	s.remember(hash)
	return true
}

func (s *ClientSecrets) remember(hash string) {
	s.remembered.correct.Add(hash, s.backoff.Now().Add(clientSecretFor))
}
