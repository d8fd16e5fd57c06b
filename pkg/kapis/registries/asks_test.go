package registries

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestAsksAreBounded: a user has a part of what we ask of others, and all together no more
// than may be.
func TestAsksAreBounded(t *testing.T) {
	now, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits
	asks := NewAsks()
	count := func(times int, who func(int) string) (n int) {
		for number := range times {
			if asks.take(now, who(number)) == nil {
				n++
			}
		}
		return n
	}
	if n := count(10*asksAtOnce, func(int) string { return "reader" }); n > asksOfUserAtOnce+1 {
		t.Errorf("one user makes us ask %d times", n)
	}
	if count(1, func(int) string { return "another" }) != 1 {
		t.Error("one user leaves another nothing")
	}
	if n := count(2*asksAtOnce, func(n int) string { return fmt.Sprint("user-", n) }); n > asksAtOnce {
		t.Errorf("many users make us ask %d times", n)
	}
	call := door(t, nil)
	refused := false
	for range 2 * asksOfUserAtOnce {
		code, _ := call("GET", "v1alpha2/registry/blob?image=127.0.0.1:1/a:b", "", "reader")
		refused = refused || code == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("the routes ask without bound")
	}
}

// TestAsksAreShared: users who ask as often as they may do not keep another one from asking.
func TestAsksAreShared(t *testing.T) {
	for _, users := range []int{1, 5, 12} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asks := NewAsks()
				over, end := context.WithCancel(t.Context())
				var running sync.WaitGroup
				for n := range 5 * users {
					running.Go(func() {
						for over.Err() == nil {
							_ = asks.take(over, fmt.Sprint("user-", n%users))
							time.Sleep(10 * time.Millisecond)
						}
					})
				}
				time.Sleep(30 * time.Second)
				for range 10 {
					started := time.Now()
					if err := asks.take(t.Context(), "jane"); err != nil || time.Since(started) > 2*time.Second {
						t.Errorf("another user after %s: %v", time.Since(started), err)
					}
				}
				end()
				running.Wait()
			})
		})
	}
}
