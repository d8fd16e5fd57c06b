package kubeproxy

import (
	"errors"
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
)

// The seats that writes to clients which stall may keep, at once and for one user.
// kube-apiserver keeps the seat of a watch until its first events are sent, and those of a
// list until its end: there are some fifty for all users of this server, and a client that
// does not read must not keep them.
const (
	maxStalledSeats        = 32
	maxStalledSeatsPerUser = 16
	// seatsOfList are those of a large list, whose width Kubernetes finds out by itself.
	seatsOfList = 8
)

// errStalled ends an answer whose client does not read it.
var errStalled = errors.New("the client does not read the answer")

// pacing says when a client is too slow.
type pacing struct {
	// patience is how long a write may block before it needs a place among those that stall.
	patience time.Duration
	// limit is how long a write of what lasts may block with a place.
	limit time.Duration
	// rate is how many bytes a second make up for the time that writes block: a client that
	// reads a little now and then stalls as well.
	rate int64
}

// defaultPacing lets a client at 2 Mbit/s do without a place.
var defaultPacing = pacing{patience: time.Second, limit: 30 * time.Second, rate: 256 << 10}

// pace follows the writes of one answer, and ends it when one blocks that may not. Writes
// come one after the other.
//
// It does so by a timer and not by deadlines set before each write: over HTTP/2 the deadline
// of a stream ends it also while nothing is written, as in a watch that waits, and costs two
// messages for each write.
type pace struct {
	pacing
	places *quota.Quota
	// seats is how many of them a write takes that stalls.
	seats  int64
	holder string
	// end makes the write that blocks fail.
	end func()

	mu    sync.Mutex
	timer *time.Timer // nil before the first write
	// due is when the timer has something to do. One that was stopped too late comes before.
	due                    time.Time
	began, stopped         time.Time
	writing, placed, ended bool
	// behind is how long writes have blocked that nothing made up for, at most patience.
	behind time.Duration
}

// begin comes before a write, which must not follow an error.
func (p *pace) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return errStalled
	}
	p.began = time.Now()
	p.behind = max(0, p.behind-p.began.Sub(p.stopped)) // a stream that waits does not stall
	if p.behind >= p.patience && !p.take() {
		return errStalled
	}
	p.writing = true
	p.await()
	return nil
}

// done comes after a write of some bytes.
func (p *pace) done(bytes int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = false
	if p.timer != nil {
		p.timer.Stop()
	}
	p.stopped = time.Now()
	p.behind += p.stopped.Sub(p.began) - time.Duration(bytes)*time.Second/time.Duration(p.rate)
	p.behind = min(max(0, p.behind), p.patience)
	if p.placed {
		p.placed = false
		p.places.Release(p.holder, p.seats)
	}
	if p.ended {
		return errStalled // even if it was sent just then: nothing follows it
	}
	return nil
}

// await sets the timer for the present write.
func (p *pace) await() {
	if p.placed && p.limit == 0 {
		return
	}
	p.due = p.began.Add(p.patience - p.behind)
	if p.placed {
		p.due = p.began.Add(p.limit)
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(p.due), p.late)
		return
	}
	p.timer.Reset(time.Until(p.due))
}

// late runs when a write blocks for long.
func (p *pace) late() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !p.writing || p.ended || time.Now().Before(p.due):
	case p.placed:
		p.fail()
	case p.take():
		p.await()
	}
}

// take takes a place among the answers that stall, or ends this one.
func (p *pace) take() bool {
	if p.places.Take(p.holder, p.seats) != nil {
		p.fail()
		return false
	}
	p.placed = true
	return true
}

func (p *pace) fail() {
	p.ended = true
	p.end()
}
