package objects

import (
	"context"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/tidwall/btree"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// Snapshot is the state of a store at one moment. It never changes, and
// any number of readers may use it at the same time.
type Snapshot struct {
	store      *Store
	revision   uint64
	since      uint64        // the version of Kubernetes when it was taken
	last       atomic.Uint64 // the latest version it was found to be the state of
	all        *index
	namespaces *btree.Map[string, *index]
	remembered memory
	named      namedOrders
}

// Page is a part of a list.
type Page struct {
	Items []*Item
	// Total is the number of objects that match, on all pages.
	Total int

	kind *Type
	form *Form
}

// Item is an object of the page in the form it was selected in.
func (p Page) Item(n int) *Item { return p.form.Of(p.kind, p.Items[n]) }

// Tag identifies the state among all states of all stores of all replicas, as
// an entity tag (RFC 9110 §8.8.3) needs it.
func (s *Snapshot) Tag() string {
	return strconv.FormatUint(s.store.epoch, 36) + "-" + strconv.FormatUint(s.revision, 36)
}

// Version is the latest version of Kubernetes this is known to be the state of.
// A watch from there on misses nothing.
func (s *Snapshot) Version() uint64 {
	version := s.store.version.Load()
	if s.store.snapshot.Load() != s { // something has changed since
		return max(s.since, s.last.Load())
	}
	for {
		known := s.last.Load()
		if known >= version || s.last.CompareAndSwap(known, version) {
			return max(s.since, version)
		}
	}
}

// Revision grows with every change of the store.
func (s *Snapshot) Revision() uint64 { return s.revision }

// Len is the number of objects.
func (s *Snapshot) Len() int { return s.all.len() }

// Get returns an object, nil when there is none.
func (s *Snapshot) Get(namespace, name string) *Item {
	item, _ := s.all.orders[orderName].Get(pivot(namespace, name))
	return item
}

// All calls yield with every object in the order of names until it returns false.
func (s *Snapshot) All(yield func(*Item) bool) { s.all.orders[orderName].Scan(yield) }

// Selection is what a list is of.
type Selection struct {
	// Namespace is empty for all.
	Namespace string
	*query.Query
	// Only restricts the list to some namespaces or names; nil for none.
	Only *Only
	// Match further restricts the list; nil for no restriction.
	Match func(*Item) bool
	// Key tells Match from others, so that results can be remembered: equal
	// keys mean that equal objects match.
	Key string
	// Form is what the caller sees of each object; nil for all of it. The objects of a
	// page are as they are stored: Page.Item shows them.
	Form *Form

	terms int // how many values Match looks for in the JSON of each object
}

// List returns a page of the objects of a namespace, or of all namespaces when
// it is empty.
func (s *Snapshot) List(ctx context.Context, namespace string, q *query.Query) (Page, error) {
	return s.Select(ctx, Selection{Namespace: namespace, Query: q})
}

// Select returns a page of a list. An unfiltered page costs the logarithm of
// the number of objects; a filtered list is computed once and remembered for
// the life of the snapshot, so that its other pages cost nothing. Filters that go
// through much JSON wait for a turn of the user in ctx, and fail with 429 without one.
func (s *Snapshot) Select(ctx context.Context, selection Selection) (Page, error) {
	if form := selection.Form; form != nil {
		reduced, err := s.store.kind.reduce(selection)
		if err != nil {
			return Page{}, err
		}
		result, err := s.Select(ctx, reduced)
		result.kind, result.form = s.store.kind, form
		return result, err
	}
	if only := selection.Only; only != nil {
		if !only.except {
			return s.selectOnly(ctx, selection)
		}
		selection.Match = both(selection.Match, func(i *Item) bool { return only.contains(s.store.kind, i) })
		selection.Key += "\x00" + only.key
		selection.Only = nil
	}
	q, namespace := selection.Query, selection.Namespace
	result := Page{}
	where := s.all
	if namespace != "" {
		var found bool
		if where, found = s.namespaces.Get(namespace); !found {
			return result, nil
		}
	}
	order := s.store.kind.order(q.SortBy)
	items, found := where.orders[order]
	if !found {
		if s.store.snapshot.Load() == s {
			if ordered := s.store.withOrder(q.SortBy); ordered != nil {
				return ordered.Select(ctx, selection)
			}
		}
		var err error // of the past, which stays as it is, or one order of too many
		if items, err = s.sortedInTurn(ctx, namespace, order, where); err != nil {
			return result, err
		}
	}
	part, rest := s.store.kind.namePart(q)
	match, err := s.store.kind.matcher(rest)
	if err != nil {
		return result, err
	}
	match = both(match, selection.Match)
	if match == nil && part == "" {
		result.Total = items.Len()
		result.Items = page(items, q.Offset(), q.Limit, q.Ascending)
		return result, nil
	}
	cost := func() int { return s.store.kind.cost(rest, selection.terms, items.Len(), items.Scan) }
	matching, err := s.scan(ctx, namespace+"\x00"+selection.Key+"\x00"+q.Raw, cost, func() []*Item {
		if part != "" {
			return s.named.of(namespace, order, q.Ascending, items).containing(part, match)
		}
		return filtered(items, q.Ascending, match)
	})
	if err != nil {
		return result, err
	}
	result.Total, result.Items = len(matching), pageOf(matching, q)
	return result, nil
}

func both(a, b func(*Item) bool) func(*Item) bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(i *Item) bool { return a(i) && b(i) }
}

func (s *Snapshot) sortedInTurn(ctx context.Context, namespace, order string, where *index) (*tree, error) {
	release, err := takeTurn(ctx, where.len()*sortedBytes)
	if err != nil {
		return nil, err
	}
	defer release()
	return s.sorted(namespace, order, where), nil
}

// sorted returns the objects in an order nobody had asked for when the
// snapshot was taken.
func (s *Snapshot) sorted(namespace, order string, where *index) *tree {
	items := s.remembered.get(namespace+"\x00sorted\x00"+order, func() []*Item {
		less := s.store.kind.less(order)
		all := where.orders[orderName].Items()
		slices.SortFunc(all, func(a, b *Item) int {
			if less(a, b) {
				return -1
			}
			return 1
		})
		return all
	})
	sorted := newTree(s.store.kind.less(order))
	for _, item := range items {
		sorted.Load(item)
	}
	return sorted
}

func filtered(items *tree, ascending bool, match func(*Item) bool) []*Item {
	var result []*Item
	take := func(item *Item) bool {
		if match(item) {
			result = append(result, item)
		}
		return true
	}
	if ascending {
		items.Scan(take)
	} else {
		items.Reverse(take)
	}
	return result
}

// Bounds of what a snapshot remembers: the filtered lists, and the orders that were
// searched for a part of a name, each with all names of its place. Users choose among
// more orders than there is memory for.
const (
	memoryQueries     = 32
	memoryNamedOrders = 8
)

// memory remembers the results of the filtered lists asked for last.
type memory struct{ recent recent[string, []*Item] }

func (m *memory) has(key string) bool { return m.recent.has(key) }

func (m *memory) get(key string, compute func() []*Item) []*Item {
	return m.recent.get(key, memoryQueries, compute)
}

// forget gives back what is remembered.
func (s *Snapshot) forget() {
	s.remembered.recent.forget()
	s.named.recent.forget()
}

// namedOrders are the names of the orders that were searched last, each put
// together by the first who searches it.
type namedOrders struct{ recent recent[namedOrder, *names] }

type namedOrder struct {
	namespace, order string
	ascending        bool
}

func (o *namedOrders) of(namespace, order string, ascending bool, items *tree) *names {
	return o.recent.get(namedOrder{namespace, order, ascending}, memoryNamedOrders, func() *names { return newNames(items, ascending) })
}
