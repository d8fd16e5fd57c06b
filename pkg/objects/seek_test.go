package objects

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWith: what has a text in a column is what a walk over all objects finds,
// in the present state and in one of the past.
func TestWith(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store := newStore(kind)
		add := func() {
			for range rapid.IntRange(0, 12).Draw(t, "objects") {
				s := anySample(t)
				store.put(item(kind, s.json()))
			}
		}
		add()
		past := store.Snapshot()
		add()
		for _, s := range []*Snapshot{past, store.Snapshot(), past} {
			column := rapid.SampledFrom([]string{"nodeName", "phase", "status"}).Draw(t, "column")
			text := rapid.SampledFrom([]string{"", "n1", "n2", "n", "Running", "Pending"}).Draw(t, "text")
			var want, got []*Item
			s.All(func(i *Item) bool {
				if i.column(kind.column(column)).Text == text {
					want = append(want, i)
				}
				return true
			})
			slices.SortFunc(want, func(a, b *Item) int {
				if lessKey(a, b) {
					return -1
				}
				return 1
			})
			if err := s.With(column, text, func(i *Item) bool { got = append(got, i); return true }); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s=%q: %d objects, want %d", column, text, len(got), len(want))
			}
			if len(want) == 0 {
				continue
			}
			got = nil
			if err := s.With(column, text, func(i *Item) bool { got = append(got, i); return false }); err != nil || len(got) != 1 {
				t.Fatalf("%d objects after the first was enough, %v", len(got), err)
			}
		}
	})
	if err := newStore(kind).Snapshot().With("name", "a", func(*Item) bool { return true }); err == nil {
		t.Error("pods have no column of their names")
	}
}
