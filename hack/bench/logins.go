package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// whileLogins compares the page while many log in at once with the page in
// silence: hashing passwords must not starve lists. Somebody who is told to
// come back later does so.
func (b *bench) whileLogins(ctx context.Context) error {
	const many = 200
	quiet, err := b.paced(ctx)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var done, later atomic.Int64
	var running sync.WaitGroup
	began := time.Now()
	for range many {
		running.Go(func() {
			for ctx.Err() == nil {
				if _, err := login(ctx, b.ks.address, "admin", "P@88w0rd"); err == nil {
					done.Add(1)
					continue
				}
				later.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(3*time.Second + rand.N(4*time.Second)): //nolint:gosec // as Retry-After says
				}
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	busy, err := b.paced(ctx)
	took := time.Since(began)
	stop()
	running.Wait()
	if err != nil {
		return err
	}
	if done.Load() == 0 {
		return fmt.Errorf("nobody could log in")
	}
	fmt.Printf("page while %d log in at once (%.0f logins/s, %d told to come later): p99 %s, in silence %s: %.2f (at most 3)\n", many, float64(done.Load())/took.Seconds(), later.Load(),
		busy.p99.Round(time.Microsecond), quiet.p99.Round(time.Microsecond), float64(busy.p99)/float64(quiet.p99))
	return nil
}
