package server

import (
	"strconv"
	"testing"
)

// TestAwaitedBodies: of too many bodies the oldest one of the caller with the most is
// given up. The oldest of all used to be, so that one user with many slow bodies ended
// those of the others.
func TestAwaitedBodies(t *testing.T) {
	for _, test := range []struct {
		name    string
		callers func(n int) string // of the n-th body
		more    int                // bodies beyond the bound
		given   []int              // the bodies given up
	}{
		{"of one caller the oldest", func(int) string { return "mallory" }, 3, []int{0, 1, 2}},
		{"of a caller with many, not the oldest of all", func(n int) string {
			if n < 2 {
				return "admin"
			}
			return "mallory"
		}, 3, []int{2, 3, 4}},
		{"of a caller with many, not the one that begins", func(n int) string {
			if n >= maxAwaitedBodies {
				return "admin"
			}
			return "mallory"
		}, 2, []int{0, 1}},
		{"of two with many, of the one with more", func(n int) string { return []string{"a", "b", "b"}[n%3] }, 2, []int{1, 2}},
		{"of callers with one each the oldest", strconv.Itoa, 2, []int{0, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var a awaitedBodies
			given := make(map[int]bool)
			var all []func()
			for n := range maxAwaitedBodies + test.more {
				all = append(all, a.enter(test.callers(n), func() { given[n] = true }))
			}
			if len(given) != len(test.given) {
				t.Errorf("given up: %v, want %v", given, test.given)
			}
			for _, n := range test.given {
				if !given[n] {
					t.Errorf("given up: %v, want %v", given, test.given)
				}
			}
			for _, leave := range all {
				leave()
				leave()
			}
			if a.count() != 0 || len(a.callers) != 0 {
				t.Errorf("%d of %d callers are left", a.count(), len(a.callers))
			}
		})
	}
}
