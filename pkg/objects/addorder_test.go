package objects

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

func orderedPod(t testing.TB, kind *Type, n, version int) *Item {
	t.Helper()
	item, err := newItem(kind, fmt.Sprintf(`{"metadata":{"namespace":"ns-%d","name":"pod-%04d","uid":"%d","resourceVersion":"%d","creationTimestamp":"2026-01-02T03:04:05Z"},"spec":{"nodeName":"node-%d"}}`,
		n%7, n, n, version, (n*31+version)%10))
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// TestOrderFollows: an order that is built while objects change has them all, in
// every namespace.
func TestOrderFollows(t *testing.T) {
	kind := NewCatalog().Type("pods")
	s := newStore(kind)
	var items []*Item
	for n := range 500 {
		items = append(items, orderedPod(t, kind, n, 1))
	}
	s.replace(items, 1)
	snapshot, since := s.watchFromNow()
	built := newOrderBuild(kind, snapshot, "nodeName,name")
	for n := range 300 {
		switch n % 3 {
		case 0:
			s.put(orderedPod(t, kind, n, 1000+n))
		case 1:
			s.remove(orderedPod(t, kind, n, 1000+n))
		default:
			s.put(orderedPod(t, kind, 1000+n, 1000+n))
		}
	}
	if !built.follow(&s.history, since.next) {
		t.Fatal("the changes are not kept")
	}
	want := newOrderBuild(kind, s.Snapshot(), "nodeName,name")
	if !slices.Equal(built.all.Items(), want.all.Items()) {
		t.Error("the order of all objects differs")
	}
	for namespace, tree := range want.namespaces {
		if !slices.Equal(built.namespace(namespace).Items(), tree.Items()) {
			t.Errorf("the order of namespace %s differs", namespace)
		}
	}
	s.history.drop(len(s.history.changes))
	if built.follow(&s.history, since.next) {
		t.Error("changes that are not kept were followed")
	}
}

// TestAlternatingOrders: clients that think of ever more orders do not have the
// store built anew for each.
func TestAlternatingOrders(t *testing.T) {
	kind := NewCatalog().Type("pods")
	s := newStore(kind)
	var items []*Item
	for n := range 100 {
		items = append(items, orderedPod(t, kind, n, 1))
	}
	s.replace(items, 1)
	columns := []string{"nodeName", "status", "phase", "name"}
	var all []string
	for _, a := range columns {
		for _, b := range columns {
			for _, sign := range []string{"", "-"} {
				if a != b {
					all = append(all, sign+a+","+b)
				}
			}
		}
	}
	list := func(sortBy string) []string {
		page, err := s.Snapshot().List(t.Context(), "ns-1", &query.Query{Page: 1, Limit: query.Unlimited, SortBy: sortBy, Ascending: true, Raw: sortBy})
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, item := range page.Items {
			names = append(names, item.Name())
		}
		return names
	}
	first := make(map[string][]string)
	for _, sortBy := range all {
		first[sortBy] = list(sortBy)
	}
	kept := slices.Clone(s.orders)
	if combinedOrders := len(kept) - 2; combinedOrders > maxCombined {
		t.Errorf("%d orders are kept: %v", combinedOrders, kept)
	}
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 5 {
				for _, sortBy := range all {
					if got := list(sortBy); !slices.Equal(got, first[sortBy]) || len(got) == 0 {
						t.Errorf("by %s: %v, want %v", sortBy, got, first[sortBy])
						return
					}
				}
			}
		})
	}
	running.Wait()
	if !slices.Equal(kept, s.orders) {
		t.Errorf("orders were built again: %v, before %v", s.orders, kept)
	}
}
