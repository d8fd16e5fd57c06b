package turns

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestPaced: whoever asks without end keeps another holder waiting for one turn of each, and
// what is done in all stays at its rate.
func TestPaced(t *testing.T) {
	pace := Pace{PerSecond: 2, AtOnce: 4, Queue: 3, Wait: 20 * time.Second}
	for _, test := range []struct {
		name            string
		others, threads int
		longest         time.Duration
	}{
		{"nobody else", 0, 0, 0},
		{"one holder", 1, 20, time.Second},
		{"four holders of one thread each", 4, 1, 3 * time.Second},
		{"four holders", 4, 20, 3 * time.Second},
		{"twenty holders", 20, 5, 11 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				paced := NewPaced(pace, "too many")
				over, end := context.WithCancel(t.Context())
				var running sync.WaitGroup
				var taken, refused atomic.Int32
				started := time.Now()
				for n := range test.others * test.threads {
					running.Go(func() {
						for over.Err() == nil {
							if paced.Take(over, fmt.Sprint("other-", n%test.others)) == nil {
								taken.Add(1)
							} else {
								refused.Add(1)
							}
							time.Sleep(10 * time.Millisecond)
						}
					})
				}
				time.Sleep(5 * time.Second)
				for range 3 {
					asked := time.Now()
					err := paced.Take(t.Context(), "jane")
					if waited := time.Since(asked); err != nil || waited > test.longest {
						t.Errorf("another holder waited %s: %v", waited, err)
					}
					taken.Add(1)
				}
				end()
				running.Wait()
				if most := pace.AtOnce + int(2*time.Since(started).Seconds()) + 1; int(taken.Load()) > most {
					t.Errorf("%d turns, want %d at the most", taken.Load(), most)
				}
				if test.threads > pace.Queue && refused.Load() == 0 {
					t.Error("more requests of a holder wait than may")
				}
				paced.queue.requireUnused(t, 1)
			})
		})
	}
}

// TestPacedRefuses: a request whose turn does not come in time gets 429, and no turn.
func TestPacedRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paced := NewPaced(Pace{PerSecond: 1, AtOnce: 1, Queue: 2, Wait: time.Second}, "too many")
		if err := paced.Take(t.Context(), "jane"); err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		var refused atomic.Int32
		for n := range 10 {
			running.Go(func() {
				if err := paced.Take(t.Context(), fmt.Sprint(n)); apierrors.IsTooManyRequests(err) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		if refused.Load() != 9 {
			t.Errorf("%d of 10 were refused", refused.Load())
		}
		paced.queue.requireUnused(t, 1)
	})
}
