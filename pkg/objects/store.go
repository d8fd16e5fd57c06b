package objects

import (
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/btree"
	"golang.org/x/time/rate"
)

// Store holds the objects of one type. A reflector writes to it; readers take
// snapshots.
type Store struct {
	kind   *Type
	usage  *usage  // of pods only
	counts *counts // nil when nothing is counted
	epoch  uint64  // random, tells this store from the one of another replica

	snapshot atomic.Pointer[Snapshot] // nil after a change, until a reader asks
	version  atomic.Uint64            // of Kubernetes: every change up to it is here

	building sync.Mutex    // of orders, one at a time
	replaced *rate.Limiter // how often an order by several keys may take the place of another

	mu         sync.Mutex
	generation uint64 // of the snapshot taken last; indexes up to it are frozen
	revision   uint64
	orders     []string
	all        *index
	namespaces *btree.Map[string, *index]
	shared     bool // namespaces belongs to a snapshot as well
	filled     bool // a complete state has been stored
	history    history
	kept       []kept        // snapshots that pages were served from
	wake       chan struct{} // closed when something changes; nil when nobody waits
	closed     bool          // the type is not read any more
}

func newStore(kind *Type) *Store {
	s := &Store{kind: kind, epoch: rand.Uint64(), orders: []string{orderName, orderCreated}} //nolint:gosec // told apart, not kept secret
	s.replaced = rate.NewLimiter(replacedEvery, maxCombined)
	if kind.demands {
		s.usage = newUsage()
	}
	if kind.keys != nil {
		s.counts = newCounts(kind.keys)
	}
	s.reset()
	return s
}

func (s *Store) reset() {
	s.all = newIndex(s.kind, s.generation+1, s.orders)
	s.namespaces = btree.NewMap[string, *index](32)
	s.shared = false
}

// Snapshot returns the present state.
func (s *Store) Snapshot() *Snapshot {
	if current := s.snapshot.Load(); current != nil {
		return current
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take()
}

// take makes a snapshot by freezing the indexes as they are.
func (s *Store) take() *Snapshot {
	if current := s.snapshot.Load(); current != nil {
		return current
	}
	s.generation++
	s.shared = true
	current := &Snapshot{store: s, revision: s.revision, since: s.version.Load(), all: s.all, namespaces: s.namespaces}
	s.snapshot.Store(current)
	return current
}

// Revision grows with every change; it costs nothing to ask for.
func (s *Store) Revision() uint64 { return s.Snapshot().revision }

// put stores a new version of an object.
func (s *Store) put(item *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change(s.get(item), item, item.number())
}

// remove forgets an object.
func (s *Store) remove(item *Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.get(item); old != nil {
		s.change(old, nil, item.number())
	} else {
		s.advance(item.number())
	}
}

// advanced notes that every change up to a version has been seen.
func (s *Store) advanced(version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(version)
	s.awake()
}

// advance raises the version. A present snapshot is the state of that version
// as well: nothing of this type has changed up to it.
func (s *Store) advance(version uint64) uint64 {
	version = max(version, s.version.Load())
	s.version.Store(version)
	return version
}

// replace stores the complete state at a version. Objects that did not change
// keep their items, so that a relist costs no memory.
func (s *Store) replace(items []*Item, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.awake()
	defer func() { s.filled = true }()
	old := s.all.orders[orderName]
	changed := len(items) != old.Len()
	for n, item := range items {
		if known, found := old.Get(item); found && known.UID() == item.UID() && known.ResourceVersion() == item.ResourceVersion() {
			items[n] = known
		} else {
			changed = true
		}
	}
	if !changed {
		if version = s.advance(version); !s.filled {
			s.history.since = version
		}
		return
	}
	s.snapshot.Store(nil) // see change
	s.recordReplace(old, items, version)
	s.reset()
	if s.usage != nil {
		s.usage.replace(items)
	}
	if s.counts != nil {
		s.counts.replace(items)
	}
	for _, item := range items {
		s.all.put(nil, item)
		if s.kind.Namespaced {
			s.namespaceIndex(item.Namespace()).put(nil, item)
		}
	}
	s.changed()
}

func (s *Store) get(item *Item) *Item {
	known, _ := s.all.orders[orderName].Get(item)
	return known
}

func (s *Store) change(old, item *Item, version uint64) {
	// Before the version: no snapshot is ever taken for newer than it is.
	s.snapshot.Store(nil)
	s.record(old, item, s.advance(version))
	defer s.awake()
	if s.all.generation <= s.generation {
		s.all = s.all.clone(s.generation + 1)
	}
	s.all.put(old, item)
	if s.usage != nil {
		s.usage.change(old, item)
	}
	if s.counts != nil {
		s.counts.change(old, item)
	}
	if s.kind.Namespaced {
		namespace := ""
		if item != nil {
			namespace = item.Namespace()
		} else {
			namespace = old.Namespace()
		}
		where := s.namespaceIndex(namespace)
		where.put(old, item)
		if where.len() == 0 {
			s.namespaces.Delete(namespace)
		}
	}
	s.changed()
}

// namespaceIndex returns the index of a namespace for writing.
func (s *Store) namespaceIndex(namespace string) *index {
	if s.shared {
		s.namespaces = s.namespaces.Copy()
		s.shared = false
	}
	where, found := s.namespaces.Get(namespace)
	switch {
	case !found:
		where = newIndex(s.kind, s.generation+1, s.orders)
	case where.generation <= s.generation:
		where = where.clone(s.generation + 1)
	default:
		return where
	}
	s.namespaces.Set(strings.Clone(namespace), where) // the key must not keep an object
	return where
}

func (s *Store) changed() {
	s.revision++
	s.snapshot.Store(nil)
}
