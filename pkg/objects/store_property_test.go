package objects

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/btree"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// stored is the model of a store: its objects by key.
type stored map[string]*Item

// frozen is a snapshot with the state and the orders it was taken in.
type frozen struct {
	*Snapshot
	want   stored
	orders []string
}

// TestStoreEqualsRebuild: after any series of writes, snapshots and new
// orders, every index holds what one built from nothing would hold, and no
// snapshot taken before has changed.
func TestStoreEqualsRebuild(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store, model := newStore(kind), stored{}
		var snapshots []frozen
		// A snapshot that was taken is the oldest a write may not touch.
		take := func() frozen {
			s := store.Snapshot()
			return frozen{s, maps.Clone(model), slices.Collect(maps.Keys(s.all.orders))}
		}
		revision := store.Revision()
		version := 0
		next := func(t *rapid.T) *Item {
			s := anySample(t)
			version++ // as Kubernetes: a version is never given twice
			s.version = strconv.Itoa(version)
			return item(kind, s.json())
		}
		changed := func(t *rapid.T) {
			if got := store.Revision(); got <= revision {
				t.Fatalf("the revision went from %d to %d by a change", revision, got)
			} else {
				revision = got
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				added := next(t)
				store.put(added)
				model[added.Namespace()+"/"+added.Name()] = added
				if rapid.Bool().Draw(t, "look") { // else writes follow each other without a snapshot between
					changed(t)
				}
			},
			"remove": func(t *rapid.T) {
				gone := next(t)
				_, found := model[gone.Namespace()+"/"+gone.Name()]
				store.remove(gone)
				delete(model, gone.Namespace()+"/"+gone.Name())
				if found && rapid.Bool().Draw(t, "look") {
					changed(t)
				}
			},
			"replace": func(t *rapid.T) {
				fresh := stored{}
				for key, known := range model {
					if rapid.IntRange(0, 3).Draw(t, "keep") > 0 {
						// The same version arrives as another value, as from a relist.
						again := *known
						fresh[key] = &again
					}
				}
				for range rapid.IntRange(0, 3).Draw(t, "added") {
					added := next(t)
					fresh[added.Namespace()+"/"+added.Name()] = added
				}
				store.replace(slices.Collect(maps.Values(fresh)), 0)
				for key, again := range fresh {
					if known := model[key]; known != nil && known.UID() == again.UID() && known.ResourceVersion() == again.ResourceVersion() {
						fresh[key] = known // what did not change keeps its item
					}
				}
				model = fresh
			},
			"relist that changes nothing": func(t *rapid.T) {
				before := store.Revision()
				store.replace(slices.Collect(maps.Values(model)), 0)
				if store.Revision() != before {
					t.Fatal("the revision changed")
				}
			},
			"snapshot": func(*rapid.T) { snapshots = append(snapshots, take()) },
			"sort": func(t *rapid.T) {
				sortBy := rapid.SampledFrom([]string{"status", "nodeName", "startTime", "phase"}).Draw(t, "sortBy")
				if _, err := store.Snapshot().List(t.Context(), "", &query.Query{Page: 1, Limit: 1, SortBy: sortBy}); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				present := take()
				checkSnapshot(t, present)
				if len(present.orders) != len(store.orders) {
					t.Fatalf("a snapshot has the orders %v, the store %v", present.orders, store.orders)
				}
				for _, old := range snapshots {
					checkSnapshot(t, old)
				}
			},
		})
	})
}

// checkSnapshot compares all orders of a snapshot with sorted slices.
func checkSnapshot(t *rapid.T, s frozen) {
	byNamespace := map[string][]*Item{}
	for _, item := range s.want {
		byNamespace[item.Namespace()] = append(byNamespace[item.Namespace()], item)
	}
	if s.namespaces.Len() != len(byNamespace) {
		t.Fatalf("%d namespaces, want %d: an empty one stays", s.namespaces.Len(), len(byNamespace))
	}
	for _, order := range s.orders {
		compareIndex(t, s, s.all.orders[order], slices.Collect(maps.Values(s.want)), order)
		s.namespaces.Scan(func(namespace string, where *index) bool {
			compareIndex(t, s, where.orders[order], byNamespace[namespace], order)
			return true
		})
	}
	for key, item := range s.want {
		if s.Get(item.Namespace(), item.Name()) != item {
			t.Fatalf("%s is not found", key)
		}
	}
}

func compareIndex(t *rapid.T, s frozen, items *btree.BTreeG[*Item], want []*Item, order string) {
	less := s.store.kind.less(order)
	slices.SortFunc(want, func(a, b *Item) int {
		if less(a, b) {
			return -1
		}
		return 1
	})
	if got := items.Items(); !slices.Equal(got, want) {
		t.Fatalf("by %s: %v, want %v", order, keysOf(got), keysOf(want))
	}
}

// TestConcurrentReaders: readers see complete states while a writer works. It
// is meant for the race detector; what it checks by itself is that all orders
// of a snapshot hold the same objects.
func TestConcurrentReaders(t *testing.T) {
	kind := NewCatalog().Type("pods")
	store := newStore(kind)
	done := make(chan struct{})
	var running sync.WaitGroup
	for reader := range 4 {
		running.Go(func() {
			sorts := []string{"name", "creationTimestamp", "status", "nodeName"}
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				q := &query.Query{Page: 1, Limit: query.Unlimited, SortBy: sorts[(n+reader)%len(sorts)], Raw: sorts[(n+reader)%len(sorts)]}
				if n%3 == 0 {
					q.Filters = []query.Filter{{Key: "name", Value: "1"}}
					q.Raw += "1"
				}
				namespace := []string{"", "a", "b"}[n%3]
				page, err := store.Snapshot().List(t.Context(), namespace, q)
				if err != nil || len(page.Items) != page.Total {
					t.Errorf("%d items of %d, %v", len(page.Items), page.Total, err)
					return
				}
			}
		})
	}
	// As reflectors do, one writer per store.
	deadline := time.Now().Add(300 * time.Millisecond)
	for n := 0; time.Now().Before(deadline); n++ {
		s := sample{namespace: []string{"a", "b"}[n%2], name: fmt.Sprintf("web-%d", n%50), version: strconv.Itoa(n), created: int64(n % 7), phase: "Running"}
		switch {
		case n%11 == 0:
			store.remove(item(kind, s.json()))
		case n%97 == 0:
			store.replace([]*Item{item(kind, s.json())}, 0)
		default:
			store.put(item(kind, s.json()))
		}
	}
	close(done)
	running.Wait()
}
