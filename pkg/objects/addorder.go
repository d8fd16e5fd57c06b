package objects

import (
	"slices"
	"time"

	"github.com/tidwall/btree"
	"golang.org/x/time/rate"
)

// replacedEvery is how often an order by several keys is added once there are as
// many as a store keeps. Clients can think of any number of them: the lists of
// others are sorted when they are asked for.
var replacedEvery = rate.Every(time.Minute)

// withOrder returns a snapshot whose objects are also ordered by a sort key. The
// order is built when it is first asked for and kept up to date from then on; how
// many there can be is bounded by the columns of the type and maxCombined. It is
// built of a snapshot, without the lock that writers and readers wait for, and then
// follows what has changed meanwhile. It returns nil for an order by several keys
// that is not to be kept.
func (s *Store) withOrder(sortBy string) *Snapshot {
	order := s.kind.order(sortBy)
	s.building.Lock()
	defer s.building.Unlock()
	snapshot, since := s.watchFromNow()
	if _, found := snapshot.all.orders[order]; found {
		return snapshot
	}
	if combined(order) && !s.replaced.Allow() {
		return nil
	}
	built := newOrderBuild(s.kind, snapshot, order)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !built.follow(&s.history, since.next) { // there were more changes than are kept
		built = newOrderBuild(s.kind, s.take(), order)
	}
	s.all = s.all.clone(s.generation + 1)
	s.all.orders[order] = built.all
	rebuilt := btree.NewMap[string, *index](32)
	s.namespaces.Scan(func(namespace string, where *index) bool {
		where = where.clone(s.generation + 1)
		where.orders[order] = built.namespace(namespace)
		rebuilt.Set(namespace, where)
		return true
	})
	s.namespaces, s.shared = rebuilt, false
	s.orders = append(s.orders, order)
	s.dropOrder()
	s.snapshot.Store(nil)
	return s.take()
}

// orderBuild is an order that is being built, of all objects and by namespace.
type orderBuild struct {
	kind       *Type
	less       func(a, b *Item) bool
	all        *tree
	namespaces map[string]*tree
}

func newOrderBuild(kind *Type, snapshot *Snapshot, order string) *orderBuild {
	b := &orderBuild{kind: kind, less: kind.less(order), namespaces: make(map[string]*tree)}
	items := snapshot.all.orders[orderName].Items()
	slices.SortFunc(items, func(x, y *Item) int {
		if b.less(x, y) {
			return -1
		}
		return 1
	})
	b.all = newTree(b.less)
	for _, item := range items {
		b.all.Load(item)
		if kind.Namespaced {
			b.namespace(item.Namespace()).Load(item)
		}
	}
	return b
}

func (b *orderBuild) namespace(name string) *tree {
	found := b.namespaces[name]
	if found == nil {
		found = newTree(b.less)
		b.namespaces[name] = found
	}
	return found
}

// follow applies the changes from a position of a history on, false when they are
// not kept any more.
func (b *orderBuild) follow(h *history, position uint64) bool {
	if position < h.first {
		return false
	}
	for _, c := range h.changes[position-h.first:] {
		if c.old != nil {
			b.all.Delete(c.old)
			if b.kind.Namespaced {
				b.namespace(c.old.Namespace()).Delete(c.old)
			}
		}
		if c.item != nil {
			b.all.Set(c.item)
			if b.kind.Namespaced {
				b.namespace(c.item.Namespace()).Set(c.item)
			}
		}
	}
	return true
}

// dropOrder gives up the oldest order by several keys when there are too many:
// clients can think of any number of them.
func (s *Store) dropOrder() {
	first, many := -1, 0
	for n, order := range s.orders {
		if !combined(order) {
			continue
		}
		if many++; first < 0 {
			first = n
		}
	}
	if many <= maxCombined {
		return
	}
	order := s.orders[first]
	s.orders = slices.Delete(slices.Clone(s.orders), first, first+1)
	// Every index has just been cloned for the order that was added.
	delete(s.all.orders, order)
	s.namespaces.Scan(func(_ string, where *index) bool {
		delete(where.orders, order)
		return true
	})
}
