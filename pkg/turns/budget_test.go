package turns

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestBudget: a little work waits for nobody, and more of it for the turns of the same user.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond, atOnce = 10, 20
		turns := New(2, 1, time.Second, "too much")
		budget := NewBudget(turns, perSecond, atOnce)
		mallory, again, jane := budget.Open("mallory"), budget.Open("mallory"), budget.Open("jane")
		held := func() {}
		for _, test := range []struct {
			name  string
			share *Share
			work  int
			after time.Duration
			full  bool
		}{
			{"what is left to each", mallory, 20, 0, false},
			{"more takes a turn", mallory, 1, 0, false},
			{"the other requests of the user wait for it", again, 1, 0, true},
			{"no work waits for nothing", again, 0, 0, false},
			{"other users do not wait", jane, 15, 0, false},
			{"nor for a turn", jane, 15, 0, false},
			{"after a while there is something left again", again, 10, time.Second, false},
			{"not more than there ever is at once", again, 21, time.Hour, true},
			{"a request without a share", nil, 1 << 30, 0, false},
		} {
			time.Sleep(test.after)
			release, err := test.share.Take(t.Context(), test.work)
			if (err != nil) != test.full || err != nil && !apierrors.IsTooManyRequests(err) {
				t.Errorf("%s: %v", test.name, err)
			}
			if err == nil && test.share == mallory && test.work == 1 {
				held = release
			} else if err == nil {
				release()
			}
		}
		waiting := time.AfterFunc(time.Hour, held)
		if release, err := again.Wait(t.Context(), 21); err != nil || waiting.Stop() {
			t.Errorf("the turn has not ended, %v", err)
		} else {
			release()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			if release, err := again.Wait(ctx, 21); err == nil {
				release() // there was a turn at once
			}
		}
		if release, err := mallory.Take(t.Context(), atOnce); err == nil {
			release() // all that was left
		}
		for _, share := range []*Share{mallory, again, jane, nil} {
			share.Close()
		}
		turns.requireUnused(t, 2)
		// Who closes everything and comes again has done what he has done.
		back := budget.Open("mallory")
		if release, err := turns.Take(t.Context(), "mallory"); err != nil {
			t.Error(err)
		} else if _, err := back.Take(t.Context(), atOnce); !apierrors.IsTooManyRequests(err) {
			t.Errorf("a user who comes again: %v", err)
		} else {
			release()
		}
		back.Close()
		time.Sleep(time.Hour)
		budget.Open("joe").Close()
		if len(budget.users) != 1 {
			t.Errorf("%v are kept", budget.users)
		}
	})
}
