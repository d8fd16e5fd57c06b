package objects

import (
	"slices"
	"time"
)

// kept is a snapshot further pages are served from.
type kept struct {
	*Snapshot
	asked time.Time
	// bytes of objects of this snapshot that were replaced while it was the latest
	// kept one. No later kept snapshot has them; earlier ones may.
	bytes int
}

// keep keeps a snapshot for some time, so that the further pages of a list can
// be asked for at its version.
func (s *Store) keep(snapshot *Snapshot, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.kept {
		if s.kept[n].Snapshot == snapshot {
			s.kept[n].asked = now
			return
		}
	}
	for _, k := range s.kept { // what they remember is of use to few, and can be found again
		k.forget()
	}
	added := kept{Snapshot: snapshot, asked: now}
	if s.snapshot.Load() != snapshot { // objects were replaced since it was taken
		added.bytes = s.replacedOf(snapshot)
	}
	at := len(s.kept)
	for at > 0 && s.kept[at-1].revision > snapshot.revision {
		at--
	}
	s.kept = slices.Insert(s.kept, at, added)
	if len(s.kept) > keptSnapshots {
		s.kept = slices.Delete(s.kept, 0, 1)
	}
	s.limitKept()
}

// replacedOf is the size of the objects of a snapshot that the store has no more,
// as far as the history tells.
func (s *Store) replacedOf(snapshot *Snapshot) int {
	bytes := 0
	for _, c := range s.history.changes {
		if snapshot.has(c.old) {
			bytes += c.weight()
		}
	}
	return bytes
}

// has reports whether a snapshot is of a state with just this item.
func (s *Snapshot) has(item *Item) bool {
	if item == nil {
		return false
	}
	found, _ := s.all.orders[orderName].Get(item)
	return found == item
}

// holdKept notes that the store lets go of an object, which stays in memory for the
// kept snapshots that have it. It was there without a break, so that the latest
// one has it if any does.
func (s *Store) holdKept(old *Item) {
	if old == nil || len(s.kept) == 0 {
		return
	}
	if latest := &s.kept[len(s.kept)-1]; latest.has(old) {
		latest.bytes += len(old.text)
		s.limitKept()
	}
}

// limitKept drops the oldest kept snapshots while these hold more than they may
// of what the store has no more. Further pages of theirs are answered with 410.
func (s *Store) limitKept() {
	bytes, n := 0, 0
	for _, k := range s.kept {
		bytes += k.bytes
	}
	for limit := max(keptBytes, s.history.store/keptPart); bytes > limit && n < len(s.kept); n++ {
		bytes -= s.kept[n].bytes
	}
	s.kept = slices.Delete(s.kept, 0, n)
}

// dropKept drops kept snapshots. What one holds an earlier one may hold as well,
// which then counts it.
func (s *Store) dropKept(drop func(*kept) bool) {
	var left []kept
	for n := range s.kept {
		switch k := &s.kept[n]; {
		case !drop(k):
			left = append(left, *k)
		case len(left) > 0:
			left[len(left)-1].bytes += k.bytes
		}
	}
	s.kept = left
}
