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
		store.keep(store.Snapshot(), "jane", now)
		for n := range 40 {
			store.put(large("a", 10+n))
			store.keep(store.Snapshot(), "jane", now)
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
		store.keep(store.Snapshot(), "jane", now)
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
		store.keep(store.Snapshot(), "jane", now)
		store.put(large("a", 11))
		store.keep(earlier, "jane", now)
		if bytes := held(store); bytes < 2*size || store.kept[0].Snapshot != earlier {
			t.Errorf("%d bytes are held", bytes)
		}
	})
	t.Run("what an earlier page holds as well still counts", func(t *testing.T) {
		store := fill()
		store.keep(store.Snapshot(), "jane", now)
		store.put(large("a", 10))
		store.keep(store.Snapshot(), "jane", now.Add(-2*keptAge))
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
		store.keep(store.Snapshot(), "jane", now)
		store.replace(after, 2)
		if len(store.kept) != 0 {
			t.Errorf("a former state of %d bytes is kept", held(store))
		}
	})
}

// TestKeptShares: whatever one user asks for, the snapshots of another stay.
func TestKeptShares(t *testing.T) {
	const size = 1 << 20
	large := func(version int) *Item {
		return item(pods, fmt.Sprintf(`{"metadata":{"name":"a","namespace":"n","uid":"a","resourceVersion":"%d","annotations":{"x":%q}}}`, version, strings.Repeat("x", size)))
	}
	small := func(version int) *Item {
		return item(pods, fmt.Sprintf(`{"metadata":{"name":"a","namespace":"n","uid":"a","resourceVersion":"%d"}}`, version))
	}
	now := time.Now()
	for _, test := range []struct {
		name    string
		next    func(version int) *Item
		holders int // who ask for a page after each write
		most    int // snapshots they have in the end
	}{
		{"by their number", small, 1, keptPerHolder},
		{"by their number, of many users", small, 10, keptSnapshots - 1},
		{"by their size", large, 1, keptBytes / size},
		{"by their size, of many users", large, 10, keptBytes / size},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newStore(pods)
			store.replace([]*Item{test.next(1)}, 1)
			store.keep(store.Snapshot(), "victim", now)
			for n := range 3 * keptSnapshots {
				store.put(test.next(10 + n))
				store.keep(store.Snapshot(), fmt.Sprint("user ", n%test.holders), now)
				if store.at(1, now) == nil {
					t.Fatalf("after %d writes the snapshot of another user is gone", n+1)
				}
			}
			if got := len(store.kept) - 1; got > test.most || got < test.most/2 {
				t.Errorf("%d snapshots are kept for the others", got)
			}
			for n := range store.kept {
				bytes := 0
				for _, item := range store.kept[n].replaced {
					if !store.kept[n].has(item) || n+1 < len(store.kept) && store.kept[n+1].has(item) {
						t.Errorf("snapshot %d counts what it does not hold, or another does", n)
					}
					bytes += len(item.text)
				}
				if bytes != store.kept[n].bytes {
					t.Errorf("snapshot %d counts %d bytes of %d", n, store.kept[n].bytes, bytes)
				}
			}
		})
	}
}

// TestKeptForSeveral: a snapshot stays as long as one of those who asked for it has
// it in a share.
func TestKeptForSeveral(t *testing.T) {
	store := newStore(pods)
	put := func(version int) {
		store.put(item(pods, fmt.Sprintf(`{"metadata":{"name":"a","namespace":"n","uid":"a","resourceVersion":"%d"}}`, version)))
	}
	store.replace(nil, 1)
	put(2)
	now := time.Now()
	store.keep(store.Snapshot(), "jane", now)
	store.keep(store.Snapshot(), "john", now)
	for n := range 2 * keptPerHolder {
		put(10 + n)
		store.keep(store.Snapshot(), "jane", now)
	}
	if store.at(2, now) == nil {
		t.Error("the snapshot of john went with the share of jane")
	}
	for n := range keptPerHolder {
		put(100 + n)
		store.keep(store.Snapshot(), "john", now)
	}
	if store.at(2, now) != nil {
		t.Error("the snapshot is kept for nobody")
	}
}
