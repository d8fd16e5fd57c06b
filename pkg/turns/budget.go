package turns

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Budget bounds the work that requests do again and again as long as they last. Each user
// may do a little of it at any time; what goes beyond takes turns.
type Budget struct {
	turns *Turns
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	users map[string]*budgetOfUser
}

// budgetOfUser is what a user with open shares may do without a turn.
type budgetOfUser struct {
	limiter *rate.Limiter
	shares  int
}

// NewBudget returns a budget of work each user may do in a second without a turn, and of so
// much at once after a while without work. Its unit is that of Share.Take.
func NewBudget(turns *Turns, perSecond, atOnce int) *Budget {
	return &Budget{turns: turns, rate: rate.Limit(perSecond), burst: atOnce, users: make(map[string]*budgetOfUser)}
}

// Open returns a share in the budget of a holder, see kube.Holder. It has to be closed.
func (b *Budget) Open(holder string) *Share {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.users[holder]
	if own == nil {
		b.forget()
		own = &budgetOfUser{limiter: rate.NewLimiter(b.rate, b.burst)}
		b.users[holder] = own
	}
	own.shares++
	return &Share{budget: b, holder: holder, limiter: own.limiter}
}

// Share is what one request has of the budget of its user. A nil share is without bounds.
type Share struct {
	budget  *Budget
	holder  string
	limiter *rate.Limiter
}

// Take returns as soon as work may begin, and what ends the turn it takes if the user has
// done much of late. It fails as Turns.Take does, and when the context ends. No turn may be
// held while waiting for a client.
func (s *Share) Take(ctx context.Context, work int) (release func(), err error) {
	if s == nil || work == 0 || s.limiter.AllowN(time.Now(), work) {
		return func() {}, nil
	}
	return s.budget.turns.Take(ctx, s.holder)
}

// Wait is Take that waits for a turn as long as the context lasts.
func (s *Share) Wait(ctx context.Context, work int) (release func(), err error) {
	for {
		release, err := s.Take(ctx, work)
		if err == nil || ctx.Err() != nil {
			return release, err
		}
	}
}

// Close ends the share.
func (s *Share) Close() {
	if s == nil {
		return
	}
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	s.budget.users[s.holder].shares--
}

// forget forgets the users without a share who may do as much as one who comes: who closes
// all and opens others has done what he has done.
func (b *Budget) forget() {
	now := time.Now()
	for holder, own := range b.users {
		if own.shares == 0 && own.limiter.TokensAt(now) >= float64(b.burst) {
			delete(b.users, holder)
		}
	}
}
