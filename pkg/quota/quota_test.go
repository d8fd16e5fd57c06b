package quota

import (
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestQuota(t *testing.T) {
	q := New(10, 6)
	for _, step := range []struct {
		holder string
		amount int64 // negative to release
		want   error
	}{
		{"a", 6, nil},
		{"a", 1, ErrShare},
		{"b", 5, ErrTotal},
		{"b", 4, nil},
		{"c", 1, ErrTotal},
		{"a", -6, nil},
		{"c", 6, nil},
		{"c", -6, nil},
		{"b", -4, nil},
	} {
		if step.amount < 0 {
			q.Release(step.holder, -step.amount)
		} else if err := q.Take(step.holder, step.amount); !errors.Is(err, step.want) {
			t.Errorf("%s takes %d: %v, want %v", step.holder, step.amount, err, step.want)
		}
	}
	if q.Held() != 0 || len(q.by) != 0 {
		t.Errorf("%d is held by %v", q.Held(), q.by)
	}
	unbounded := New(0, 0)
	if err := unbounded.Take("a", 1<<40); err != nil {
		t.Error(err)
	}
}

func TestQuotaConcurrently(t *testing.T) {
	q := New(50, 10)
	var running sync.WaitGroup
	for n := range 16 {
		holder := string(rune('a' + n%4))
		running.Go(func() {
			for range 1000 {
				if q.Take(holder, 3) == nil {
					if q.Held() > 50 {
						t.Error("there is more than everything")
					}
					q.Release(holder, 3)
				}
			}
		})
	}
	running.Wait()
	if q.Held() != 0 || len(q.by) != 0 {
		t.Errorf("%d is held by %v", q.Held(), q.by)
	}
}

func BenchmarkTake(b *testing.B) {
	q := New(400, 100)
	for b.Loop() {
		if q.Take("somebody", 1) == nil {
			q.Release("somebody", 1)
		}
	}
}

// TestRoomForOthers: whoever has nothing yet finds room beside twice as many holders that
// take all they get as there are shares: four left nothing to anybody.
func TestRoomForOthers(t *testing.T) {
	q := New(400, 100)
	for holder := range 8 {
		for q.Take(fmt.Sprint("greedy-", holder), 1) == nil {
		}
		if err := q.Take(fmt.Sprint("new-", holder), 1); err != nil {
			t.Fatalf("after %d: %v, %d are held", holder+1, err, q.Held())
		}
	}
	one := New(400, 100)
	for n := range 100 {
		if err := one.Take("alone", 1); err != nil {
			t.Fatalf("the share of one: %d, %v", n, err)
		}
	}
}
