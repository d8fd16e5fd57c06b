package route

import (
	"context"
	"runtime"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// freeEffort is how long an answer is worked at without a turn: all but the largest
	// are ready by then.
	freeEffort = 5 * time.Millisecond
	// effortSlice is how long a turn lasts.
	effortSlice = 10 * time.Millisecond
	// effortWait is how long an answer waits for a turn.
	effortWait = 30 * time.Second
)

// making are the turns of answers that take long to make: of projections, tables, and what
// is indented or compressed. However many clients ask for them, half of the processors are
// left for everything else. Users take turns.
var making = turns.New(max(1, runtime.GOMAXPROCS(0)/2), 1, effortWait, "too many large answers are being made, try again later")

// effort is the work that goes into an answer. It takes a turn of its user when it lasts,
// and none while it waits for the client. The zero value is without bounds.
type effort struct {
	ctx     context.Context //nolint:containedctx // of one answer
	working bool
	spent   time.Duration
	since   time.Time
	release func()
}

// begin goes on with the work unless it is under way, when there is a turn. It fails as
// turns.Turns.Take does.
func (e *effort) begin() error {
	if e.ctx == nil || e.working {
		return nil
	}
	if e.spent >= freeEffort {
		release, err := making.Take(e.ctx, turns.HolderFrom(e.ctx))
		if err != nil {
			return err
		}
		e.release = release
	}
	e.working, e.since = true, time.Now()
	return nil
}

// end ends the work, until it begins again.
func (e *effort) end() {
	if !e.working {
		return
	}
	e.working = false
	e.spent += time.Since(e.since)
	if e.release != nil {
		e.release()
		e.release = nil
	}
}

// yield lets others have a turn when the work has lasted for one.
func (e *effort) yield() error {
	if !e.working {
		return nil
	}
	if lasted := time.Since(e.since); lasted < effortSlice && (e.release != nil || e.spent+lasted < freeEffort) {
		return nil
	}
	e.end()
	return e.begin()
}
