package objects

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestKeptBytes: snapshots for further pages hold a bounded part of the past.
func TestKeptBytes(t *testing.T) {
	const size = 1 << 20
	large := func(name string, version int) *Item {
		return item(pods, fmt.Sprintf(`{"metadata":{"name":%q,"namespace":"n","uid":%q,"resourceVersion":"%d","annotations":{"x":%q}}}`, name, name, version, strings.Repeat("x", size)))
	}
	now := time.Now()
	fill := func() *Store {
		store := newStore(pods)
		store.replace([]*Item{large("a", 1), large("b", 2)}, 2)
		return store
	}
	held := func(store *Store) int {
		bytes := 0
		for _, k := range store.kept {
			bytes += k.bytes
		}
		return bytes
	}
	t.Run("a page after each write", func(t *testing.T) {
		store := fill()
		store.keep(store.Snapshot(), now)
		for n := range 40 {
			store.put(large("a", 10+n))
			store.keep(store.Snapshot(), now)
			if bytes := held(store); bytes > keptBytes {
				t.Fatalf("%d bytes are held after %d writes", bytes, n)
			}
		}
		if store.at(2, now) != nil {
			t.Error("the first state is still there")
		}
		if store.at(48, now) == nil || len(store.kept) < 5 {
			t.Errorf("%d snapshots are left, without the last but one", len(store.kept))
		}
	})
	t.Run("what no page has costs nothing", func(t *testing.T) {
		store := fill()
		store.keep(store.Snapshot(), now)
		for n := range 40 {
			store.put(large("a", 10+n))
		}
		if bytes := held(store); bytes < size || bytes > 2*size || store.at(2, now) == nil {
			t.Errorf("%d bytes are held", bytes)
		}
	})
	t.Run("a page of an earlier state", func(t *testing.T) {
		store := fill()
		earlier := store.Snapshot()
		store.put(large("a", 10))
		store.keep(store.Snapshot(), now)
		store.put(large("a", 11))
		store.keep(earlier, now)
		if bytes := held(store); bytes < 2*size || store.kept[0].Snapshot != earlier {
			t.Errorf("%d bytes are held", bytes)
		}
	})
	t.Run("what an earlier page holds as well still counts", func(t *testing.T) {
		store := fill()
		store.keep(store.Snapshot(), now)
		store.put(large("a", 10))
		store.keep(store.Snapshot(), now.Add(-2*keptAge))
		store.remove(large("b", 11))
		store.trim(now)
		if bytes := held(store); len(store.kept) != 1 || bytes < 2*size {
			t.Errorf("%d snapshots hold %d bytes", len(store.kept), bytes)
		}
		store.trim(now.Add(2 * keptAge))
		if len(store.kept) != 0 {
			t.Error("a snapshot is kept for ever")
		}
	})
	t.Run("a whole new state", func(t *testing.T) {
		store := newStore(pods)
		var before, after []*Item
		for n := range historyChanges {
			name := fmt.Sprint("p", n)
			text := `{"metadata":{"name":%q,"namespace":"n","uid":%q,"resourceVersion":"%d","annotations":{"x":"` + strings.Repeat("x", 2<<10) + `"}}}`
			before, after = append(before, item(pods, fmt.Sprintf(text, name, name, 1))), append(after, item(pods, fmt.Sprintf(text, name, name, 2)))
		}
		store.replace(before, 1)
		store.keep(store.Snapshot(), now)
		store.replace(after, 2)
		if len(store.kept) != 0 {
			t.Errorf("a former state of %d bytes is kept", held(store))
		}
	})
}
