package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// group is a number of components that run and are stopped together.
type group struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	// failed is given the first error of a component that was not stopped.
	failed chan error
}

func newGroup(ctx context.Context, failed chan error) *group {
	ctx, cancel := context.WithCancel(ctx)
	return &group{ctx: ctx, cancel: cancel, failed: failed}
}

// start runs a component until the group is stopped.
func (g *group) start(name string, run func(context.Context) error) {
	g.running.Go(func() {
		err := run(g.ctx)
		if g.ctx.Err() != nil {
			return
		}
		if err == nil {
			err = fmt.Errorf("%s ended by itself", name)
		} else {
			err = fmt.Errorf("%s failed: %w", name, err)
		}
		select {
		case g.failed <- err:
		default:
			// One failure is reason enough to stop everything.
		}
	})
}

// stop tells the components to end and waits for them, but not forever.
func (g *group) stop(timeout time.Duration) {
	g.cancel()
	done := make(chan struct{})
	go func() {
		g.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(timeout):
	}
}
