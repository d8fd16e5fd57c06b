package quota

import (
	"errors"
	"sync"
)

var (
	// ErrShare is returned to a holder that has all of its share.
	ErrShare = errors.New("the share is used up")
	// ErrTotal is returned when all holders together have everything.
	ErrTotal = errors.New("everything is used up")
)

// Quota counts what is held, in total and by each holder. It may be used by many
// goroutines.
type Quota struct {
	total, share int64

	mu   sync.Mutex
	held int64
	by   map[string]int64
}

// New returns a quota with a total and the share of each holder; 0 is no bound.
func New(total, share int64) *Quota {
	return &Quota{total: total, share: share, by: make(map[string]int64)}
}

// Take takes an amount for a holder, which has to release it. It fails with
// ErrShare or ErrTotal. Where the share is half of the total or less, a holder has no more
// than what is free: each that takes all it gets leaves half of the rest to those that
// come after it, not nothing.
func (q *Quota) Take(holder string, amount int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	by := q.by[holder]
	switch {
	case q.share > 0 && by+amount > q.share:
		return ErrShare
	case q.share > 0 && q.total >= 2*q.share && by > 0 && by+amount > q.total-q.held:
		return ErrShare
	case q.total > 0 && q.held+amount > q.total:
		return ErrTotal
	}
	q.held += amount
	q.by[holder] = by + amount
	return nil
}

// Release gives back an amount a holder has taken.
func (q *Quota) Release(holder string, amount int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held -= amount
	if left := q.by[holder] - amount; left > 0 {
		q.by[holder] = left
	} else {
		delete(q.by, holder)
	}
}

// Held is the amount all holders have at the moment.
func (q *Quota) Held() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}
