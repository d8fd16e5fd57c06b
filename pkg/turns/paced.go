package turns

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Pace is how often something may be done.
type Pace struct {
	// PerSecond and AtOnce are the rate, and how many may be done at once after a pause.
	PerSecond, AtOnce int
	// Queue is how many requests of a holder may wait; further ones are refused.
	Queue int
	// Wait is how long a request waits at the most.
	Wait time.Duration
}

// Paced bounds how often requests do something. When there is less than is asked for, the
// holders take turns: however often some of them ask, another one is served after at most
// one request of each that waits.
type Paced struct {
	rate *rate.Limiter
	// queue is of those that wait. Who has its turn has the next part of the rate.
	queue   *Turns
	wait    time.Duration
	refusal string
}

// NewPaced returns turns at a pace. Requests that do not have their turn in time, or are too
// many, are refused with a message.
func NewPaced(pace Pace, refusal string) *Paced {
	return &Paced{
		rate:  rate.NewLimiter(rate.Limit(pace.PerSecond), pace.AtOnce),
		queue: New(1, 1, pace.Wait, refusal).Queue(pace.Queue), wait: pace.Wait, refusal: refusal,
	}
}

// Take waits for a turn of a holder. It fails with status 429 when there is none in time, or
// as many requests of the holder wait already as may.
func (p *Paced) Take(ctx context.Context, holder string) error {
	if p.queue.Users() == 0 && p.rate.Allow() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.wait)
	defer cancel()
	release, err := p.queue.Take(ctx, holder)
	if err != nil {
		return err
	}
	defer release()
	if p.rate.Wait(ctx) != nil {
		return status.TooManyRequests(time.Second, "%s", p.refusal)
	}
	return nil
}
