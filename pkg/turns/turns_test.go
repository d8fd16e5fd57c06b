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

// TestTurns: no user takes the turns of others, nor more than its share.
func TestTurns(t *testing.T) {
	slots := New(3, 2, 20*time.Millisecond, "too many")
	var held []func()
	for _, test := range []struct {
		name string
		who  string
		full bool
	}{
		{"the first", "mallory", false},
		{"the share", "mallory", false},
		{"one too many", "mallory", true},
		{"another user", "jane", false},
		{"one too many in total", "jane", true},
	} {
		release, err := slots.Take(t.Context(), test.who)
		if (err != nil) != test.full || err != nil && !apierrors.IsTooManyRequests(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			held = append(held, release)
		}
	}
	for _, release := range held {
		release()
		release() // a second time changes nothing
	}
	slots.requireUnused(t, 3)
}

func (t *Turns) requireUnused(tb testing.TB, total int) {
	tb.Helper()
	if t.free != total || len(t.users) != 0 {
		tb.Errorf("%d turns are free, want %d; held by %v", t.free, total, t.users)
	}
}

// TestTurnsAreShared: before the first request of a user, each other user has one turn at the
// most, however many of their requests came before; four users with twelve requests each kept everybody waiting for 20 seconds.
func TestTurnsAreShared(t *testing.T) {
	const takes = time.Second
	for _, test := range []struct {
		name             string
		total, share     int
		others, requests int
		longest          time.Duration
	}{
		{name: "users that have their share", total: 40, share: 10, others: 4, requests: 12, longest: takes},
		{name: "more users than turns", total: 4, share: 2, others: 4, requests: 12, longest: 2 * takes},
		{name: "one turn in all", total: 1, share: 1, others: 1, requests: 20, longest: takes},
		{name: "one turn in all and several users", total: 1, share: 1, others: 3, requests: 5, longest: 4 * takes},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turns := New(test.total, test.share, time.Minute, "too many")
				var running sync.WaitGroup
				for n := range test.others * test.requests {
					running.Go(func() {
						release, err := turns.Take(t.Context(), fmt.Sprint("other-", n%test.others))
						if err != nil {
							t.Error(err)
							return
						}
						time.Sleep(takes)
						release()
					})
				}
				synctest.Wait()
				started := time.Now()
				release, err := turns.Take(t.Context(), "jane")
				if waited := time.Since(started); err != nil || waited > test.longest {
					t.Errorf("the first request of another user waited %s: %v", waited, err)
				} else {
					release()
				}
				running.Wait()
				turns.requireUnused(t, test.total)
			})
		})
	}
}

// TestTurnsConcurrently: requests that stop waiting take no turn with them.
func TestTurnsConcurrently(t *testing.T) {
	turns := New(3, 2, time.Minute, "too many")
	var running sync.WaitGroup
	var at atomic.Int32
	for n := range 8 {
		running.Go(func() {
			for range 300 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*20*time.Microsecond)
				release, err := turns.Take(ctx, fmt.Sprint("u", n%4))
				cancel()
				if err != nil {
					continue
				}
				if now := at.Add(1); now > 3 {
					t.Errorf("%d at once", now)
				}
				at.Add(-1)
				release()
			}
		})
	}
	running.Wait()
	turns.requireUnused(t, 3)
}
