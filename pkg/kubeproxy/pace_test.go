package kubeproxy

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
)

// pacedWrite is a write that begins some time after the one before.
type pacedWrite struct {
	after, takes time.Duration
	bytes        int
}

func repeated(n int, write pacedWrite) []pacedWrite {
	var all []pacedWrite
	for range n {
		all = append(all, write)
	}
	return all
}

// TestPace: who reads, however seldom there is something, needs no place; who does not, or
// hardly, needs one, and has not more time than the limit.
func TestPace(t *testing.T) {
	for name, test := range map[string]struct {
		writes []pacedWrite
		limit  time.Duration
		// alone and crowded is how many writes succeed with places and without.
		alone, crowded int
	}{
		"a reader":             {repeated(1000, pacedWrite{0, 15 * time.Millisecond, 4 << 10}), 30 * time.Second, 1000, 1000},
		"a watch that waits":   {repeated(10, pacedWrite{time.Hour, 900 * time.Millisecond, 100}), 30 * time.Second, 10, 10},
		"a moment, again":      {repeated(10, pacedWrite{time.Second, 900 * time.Millisecond, 100}), 30 * time.Second, 10, 10},
		"a pause":              {repeated(3, pacedWrite{0, 2 * time.Second, 100}), 30 * time.Second, 3, 0},
		"a slow reader":        {repeated(300, pacedWrite{0, 100 * time.Millisecond, 4 << 10}), 30 * time.Second, 300, 11},
		"nothing is read":      {repeated(2, pacedWrite{0, 31 * time.Second, 100}), 30 * time.Second, 0, 0},
		"without such a limit": {repeated(2, pacedWrite{0, time.Minute, 100}), 0, 2, 0},
	} {
		for crowded, want := range map[bool]int{false: test.alone, true: test.crowded} {
			synctest.Test(t, func(t *testing.T) {
				places, ended := quota.New(4, 1), make(chan struct{})
				if crowded {
					_ = places.Take("jane", 1)
				}
				times := defaultPacing
				times.limit = test.limit
				p := &pace{pacing: times, places: places, seats: 1, holder: "jane", end: func() { close(ended) }}
				got := 0
				for _, write := range test.writes {
					time.Sleep(write.after)
					if p.begin() != nil {
						break
					}
					select {
					case <-ended:
					case <-time.After(write.takes):
					}
					if p.done(write.bytes) != nil {
						break
					}
					got++
				}
				if got != want {
					t.Errorf("%s, crowded %t: %d writes, want %d", name, crowded, got, want)
				}
				if held := places.Held(); crowded != (held == 1) {
					t.Errorf("%s, crowded %t: %d places are held", name, crowded, held)
				}
				time.Sleep(time.Hour) // no timer goes on
			})
		}
	}
}
