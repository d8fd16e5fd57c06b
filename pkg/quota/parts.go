package quota

import "sync"

// Parts divides what each holder has: a part of a holder has half of it at most, as in Quota.
// It may be used by many goroutines.
type Parts struct {
	share int64

	mu sync.Mutex
	of map[string]*Quota
}

// NewParts returns the parts of what each holder has; 0 is no bound.
func NewParts(share int64) *Parts { return &Parts{share: share, of: make(map[string]*Quota)} }

// Take takes an amount for a part of a holder, which has to release it. It fails as Quota.Take
// does.
func (p *Parts) Take(holder, part string, amount int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := p.of[holder]
	if parts == nil {
		parts = New(p.share, (p.share+1)/2)
		p.of[holder] = parts
	}
	err := parts.Take(part, amount)
	p.forget(holder, parts)
	return err
}

// Release gives back an amount a part of a holder has taken.
func (p *Parts) Release(holder, part string, amount int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	parts := p.of[holder]
	parts.Release(part, amount)
	p.forget(holder, parts)
}

func (p *Parts) forget(holder string, parts *Quota) {
	if parts.Held() == 0 {
		delete(p.of, holder)
	}
}
