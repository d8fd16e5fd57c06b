package objects

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"time"
)

// How much of the past is kept: changes for watches that resume or fall
// behind, and snapshots for the further pages of a list.
const (
	historyBytes   = 4 << 20 // of former objects, or a part of what the store holds
	historyPart    = 64
	historyChanges = 8192
	keptSnapshots  = 64
	keptPerHolder  = keptSnapshots / 4 // of one user
	keptBytes      = 8 << 20           // of former objects that kept snapshots hold, or a part of the store
	keptPart       = 16
	keptAge        = 2 * time.Minute // also how often older changes are let go
)

// change is what happened to one object at a version of Kubernetes.
type change struct {
	version   uint64
	old, item *Item // old is nil for a new object, item for a deleted one
}

// history are the last changes of a store, the oldest first.
type history struct {
	changes []change
	first   uint64 // how many changes came before those kept
	since   uint64 // changes after this version are kept
	bytes   int    // of the objects kept only for this
	trimmed uint64 // where the history ended when it was last trimmed by age
	store   int    // bytes of the objects of the store
}

// limit is how many bytes of former objects are kept.
func (h *history) limit() int { return max(historyBytes, h.store/historyPart) }

func (h *history) end() uint64 { return h.first + uint64(len(h.changes)) }

// drop forgets the n oldest changes.
func (h *history) drop(n int) {
	if n == 0 {
		return
	}
	for _, gone := range h.changes[:n] {
		h.bytes -= gone.weight()
	}
	h.since = h.changes[n-1].version
	h.first += uint64(n) //nolint:gosec // a length
	clear(h.changes[:n]) // the array stays, what it refers to does not
	h.changes = h.changes[n:]
}

// weight is the memory an old object costs, in bytes.
func (c change) weight() int {
	if c.old == nil {
		return 0
	}
	return len(c.old.text)
}

func (h *history) add(c change) {
	if len(h.changes) == cap(h.changes) {
		h.changes = slices.Grow(h.changes, max(64, len(h.changes))) // and let go of what was dropped
	}
	h.changes = append(h.changes, c)
	h.bytes += c.weight()
	n := max(0, len(h.changes)-historyChanges)
	for over := h.bytes; over > h.limit() && n < len(h.changes)-1; n++ {
		over -= h.changes[n].weight()
	}
	h.drop(n)
}

func (h *history) measure(items []*Item) {
	h.store = 0
	for _, item := range items {
		h.store += len(item.text)
	}
}

// record notes a change. An object that was deleted and made anew while
// nobody looked went and came.
func (s *Store) record(old, item *Item, version uint64) {
	s.holdKept(old)
	if old != nil {
		s.history.store -= len(old.text)
	}
	if item != nil {
		s.history.store += len(item.text)
	}
	if old != nil && item != nil && old.UID() != item.UID() {
		s.history.add(change{version: version, old: old})
		old = nil
	}
	s.history.add(change{version: version, old: old, item: item})
}

// recordReplace notes what a complete new state changes, in the order of its
// versions; what is gone went last, nobody knows when.
func (s *Store) recordReplace(old *tree, items []*Item, version uint64) {
	if !s.filled { // the first state is no change
		s.history.since = s.advance(version)
		s.history.measure(items)
		return
	}
	var changed []change
	present := make(map[*Item]bool, len(items))
	for _, item := range items {
		known, _ := old.Get(item)
		if known == item {
			present[known] = true
			continue
		}
		if known != nil {
			present[known] = true
		}
		changed = append(changed, change{version: item.number(), old: known, item: item})
	}
	slices.SortStableFunc(changed, func(a, b change) int { return cmp.Compare(a.version, b.version) })
	old.Scan(func(known *Item) bool {
		if !present[known] {
			changed = append(changed, change{old: known})
		}
		return true
	})
	if len(changed) > historyChanges/2 {
		// Too much to tell: whoever watches has to start over.
		for _, c := range changed {
			s.holdKept(c.old)
		}
		s.history.drop(len(s.history.changes))
		s.history.first++
		s.history.since = s.advance(version)
		s.history.measure(items)
		return
	}
	before := s.version.Load()
	for _, c := range changed {
		if c.item == nil {
			c.version = version
		}
		before = max(before, c.version)
		s.record(c.old, c.item, before)
	}
	s.advance(max(before, version))
}

// after is the position of the first change after a version, false when
// changes since then are not kept any more.
func (h *history) after(version uint64) (uint64, bool) {
	if version < h.since {
		return 0, false
	}
	n := sort.Search(len(h.changes), func(n int) bool { return h.changes[n].version > version })
	return h.first + uint64(n), true //nolint:gosec // an index
}

// at returns the kept snapshot that was the state at a version, nil when there
// is none.
func (s *Store) at(version uint64, now time.Time) *Snapshot {
	if current := s.Snapshot(); current.since <= version && version <= current.Version() {
		return current
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.kept {
		if k := &s.kept[n]; k.since <= version && version <= k.Version() {
			k.asked = now // somebody goes through it
			return k.Snapshot
		}
	}
	return nil
}

// trim lets go of what is older than watches and pages need.
func (s *Store) trim(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropKept(func(k *kept) bool { return now.Sub(k.asked) > keptAge })
	// Called once per keptAge: what was there the last time is old enough.
	if s.history.trimmed > s.history.first {
		s.history.drop(int(min(s.history.trimmed-s.history.first, uint64(len(s.history.changes))))) //nolint:gosec // at most the length
	}
	s.history.trimmed = s.history.end()
}

// number is the version of an object; 0 when it is none of Kubernetes'.
func (i *Item) number() uint64 { return number(i.ResourceVersion()) }

// number reads a version of Kubernetes, which clients must not compare but
// servers may (KEP-5504).
func number(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
