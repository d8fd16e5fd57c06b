package identity

import (
	"context"
	"errors"
	"sync"
)

// Attempts asks providers that check passwords, no more often than somebody may
// guess: many of them count no failures, and those that do lock people out.
type Attempts struct {
	backoff *Backoff

	mu    sync.Mutex
	turns map[string]*turns // by provider, so that one that hangs holds up itself only
}

// Of the attempts at a provider so many are made at once, and wait for their turn.
const (
	attemptsAtOnce  = 16
	attemptsWaiting = 256
)

// NewAttempts returns attempts that count with a back-off.
func NewAttempts(backoff *Backoff) *Attempts {
	return &Attempts{backoff: backoff, turns: make(map[string]*turns)}
}

// Authenticate returns who attempts to log in at a provider. Errors are those of
// the provider, ErrBusy, or a *Throttled. Without a receiver nothing is counted.
func (a *Attempts) Authenticate(ctx context.Context, provider *Provider, attempt Attempt) (External, error) {
	if a == nil {
		return provider.Password.Authenticate(ctx, attempt.Name, attempt.Password)
	}
	counted := provider.Name + "/" + attempt.Name // no user of ours is called so
	admission, err := a.backoff.Admit(ctx, counted, attempt.Address)
	if err != nil {
		return External{}, err
	}
	release, err := a.at(provider.Name).take(ctx, admission)
	if err != nil {
		return External{}, err
	}
	defer release()
	// Others may have failed while this one waited for its turn.
	if err := admission.Recheck(ctx); err != nil {
		return External{}, err
	}
	who, err := provider.Password.Authenticate(ctx, attempt.Name, attempt.Password)
	switch {
	case err == nil:
		a.backoff.Succeeded(counted, attempt.Address)
	case errors.Is(err, ErrIncorrect):
		a.backoff.Failed(counted, attempt.Address)
	}
	return who, err
}

func (a *Attempts) at(provider string) *turns {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, known := a.turns[provider]
	if !known {
		found = newTurns(attemptsAtOnce, attemptsWaiting)
		a.turns[provider] = found
	}
	return found
}
