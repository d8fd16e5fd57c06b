package objects

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// kept is a snapshot further pages are served from.
type kept struct {
	*Snapshot
	asked time.Time
	// holders are the users who asked for it. It goes with the last of them.
	holders map[string]bool
	// replaced are the objects of this snapshot that the store has no more, and no
	// later kept snapshot has. Earlier ones may have them.
	replaced []*Item
	bytes    int // of replaced
}

func (k *kept) add(items ...*Item) {
	k.replaced = append(k.replaced, items...)
	for _, item := range items {
		k.bytes += len(item.text)
	}
}

// move removes the replaced objects that another snapshot has, and returns them.
func (k *kept) move(other *Snapshot) []*Item {
	var moved []*Item
	k.replaced = slices.DeleteFunc(k.replaced, func(item *Item) bool {
		if !other.has(item) {
			return false
		}
		moved = append(moved, item)
		k.bytes -= len(item.text)
		return true
	})
	return moved
}

// keep keeps a snapshot for some time, so that the further pages of a list can
// be asked for at its version.
func (s *Store) keep(snapshot *Snapshot, holder string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.kept {
		if s.kept[n].Snapshot == snapshot {
			s.kept[n].asked = now
			s.kept[n].holders[holder] = true
			s.limitKept(holder)
			return
		}
	}
	for _, k := range s.kept { // what they remember is of use to few, and can be found again
		k.forget()
	}
	at := len(s.kept)
	for at > 0 && s.kept[at-1].revision > snapshot.revision {
		at--
	}
	added := kept{Snapshot: snapshot, asked: now, holders: map[string]bool{holder: true}}
	if s.snapshot.Load() != snapshot { // objects were replaced since it was taken
		added.add(s.replacedOf(snapshot, at)...)
	}
	s.kept = slices.Insert(s.kept, at, added)
	s.limitKept(holder)
}

// replacedOf are the objects of a snapshot that the store has no more, as far as the
// history and the kept snapshot before it tell, without those that the kept snapshot
// after it has.
func (s *Store) replacedOf(snapshot *Snapshot, at int) []*Item {
	replaced := make(map[*Item]bool)
	for _, c := range s.history.changes {
		if snapshot.has(c.old) && (at == len(s.kept) || !s.kept[at].has(c.old)) {
			replaced[c.old] = true
		}
	}
	if at > 0 {
		for _, item := range s.kept[at-1].move(snapshot) {
			replaced[item] = true
		}
	}
	return slices.Collect(maps.Keys(replaced))
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
		latest.add(old)
		s.limitKeptBytes()
	}
}

// limitKept takes the oldest kept snapshots from a holder with more than a share,
// and from the holder with the most while there are too many. Further pages of a
// snapshot that nobody holds are answered with 410.
func (s *Store) limitKept(holder string) {
	for s.heldBy(holder) > keptPerHolder {
		s.release(holder)
	}
	for len(s.kept) > keptSnapshots {
		s.release(s.largestHolder(func(*kept) int { return 1 }))
	}
	s.limitKeptBytes()
}

// limitKeptBytes takes the oldest kept snapshots from the holder with the most bytes
// while all of them hold more than they may of what the store has no more.
func (s *Store) limitKeptBytes() {
	for limit := max(keptBytes, s.history.store/keptPart); len(s.kept) > 0; {
		bytes := 0
		for n := range s.kept {
			bytes += s.kept[n].bytes
		}
		if bytes <= limit {
			return
		}
		s.release(s.largestHolder(func(k *kept) int { return k.bytes }))
	}
}

// heldBy is how many kept snapshots a holder has.
func (s *Store) heldBy(holder string) int {
	count := 0
	for n := range s.kept {
		if s.kept[n].holders[holder] {
			count++
		}
	}
	return count
}

// largestHolder is the holder whose snapshots weigh the most, of two equals the one
// with the older snapshot.
func (s *Store) largestHolder(weight func(*kept) int) string {
	var order []string
	weights := make(map[string]int)
	for n := range s.kept {
		for _, holder := range slices.Sorted(maps.Keys(s.kept[n].holders)) {
			if _, known := weights[holder]; !known {
				order = append(order, holder)
			}
			weights[holder] += weight(&s.kept[n])
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(weights[b], weights[a]) })
	return order[0]
}

// release takes the oldest of its kept snapshots from a holder.
func (s *Store) release(holder string) {
	for n := range s.kept {
		if !s.kept[n].holders[holder] {
			continue
		}
		if delete(s.kept[n].holders, holder); len(s.kept[n].holders) == 0 {
			s.removeKept(n)
		}
		return
	}
}

// removeKept drops a kept snapshot. What it holds the one before it may hold as
// well, which then counts it.
func (s *Store) removeKept(n int) {
	if n > 0 {
		before := &s.kept[n-1]
		before.add(s.kept[n].move(before.Snapshot)...)
	}
	s.kept = slices.Delete(s.kept, n, n+1)
}

// dropKept drops kept snapshots.
func (s *Store) dropKept(drop func(*kept) bool) {
	for n := len(s.kept) - 1; n >= 0; n-- {
		if drop(&s.kept[n]) {
			s.removeKept(n)
		}
	}
}
