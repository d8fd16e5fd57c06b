package authz

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// TestComparisonTurns: however many comparisons some users ask for, another one waits for one
// of each; they were made in the order they came in.
func TestComparisonTurns(t *testing.T) {
	for _, users := range []int{1, 4} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				compare := func(turn *turn, name string) {
					release, err := turn.take(t.Context(), &user.DefaultInfo{Name: name})
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(100 * time.Millisecond)
					release()
				}
				comparisons := &turn{}
				var running sync.WaitGroup
				for n := range 10 * users {
					running.Go(func() { compare(comparisons, fmt.Sprint("user-", n%users)) })
				}
				synctest.Wait()
				started := time.Now()
				compare(comparisons, "jane")
				if waited := time.Since(started); waited > time.Duration(users+1)*100*time.Millisecond {
					t.Errorf("another user waited %s", waited)
				}
				ctx, cancel := context.WithCancel(t.Context())
				running.Wait()
				release, err := comparisons.take(ctx, &user.DefaultInfo{Name: "jane"})
				if err != nil {
					t.Fatal(err)
				}
				cancel()
				if _, err := comparisons.take(ctx, &user.DefaultInfo{Name: "john"}); err == nil {
					t.Error("two at once")
				}
				release()
			})
		})
	}
}
