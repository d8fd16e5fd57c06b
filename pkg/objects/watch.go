package objects

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// EventType is what happened to an object, Kubernetes' word for it.
type EventType string

// The types of events.
const (
	Added    EventType = "ADDED"
	Modified EventType = "MODIFIED"
	Deleted  EventType = "DELETED"
)

// Event is a change of an object as a watch with filters sees it: an object
// that begins to match is added, one that ceases to is deleted.
type Event struct {
	Type EventType
	Item *Item
	// Version is the version of Kubernetes at which it happened.
	Version uint64
}

// ErrEnded is returned by a watch of a type that is not read any more.
var ErrEnded = errors.New("the type is not read any more")

// Watcher follows the changes of a store. It is to be used by one goroutine.
type Watcher struct {
	store *Store
	next  uint64 // position of the next change
}

// expired is what Kubernetes answers to a watch from too long ago; clients
// list again.
func expired(version uint64) error {
	return status.New(410, "Expired", "too old resource version: %d", version)
}

// watch follows the changes after a version.
func (s *Store) watch(version uint64) (*Watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, found := s.history.after(version)
	if !found {
		return nil, expired(version)
	}
	return &Watcher{store: s, next: next}, nil
}

// watchFromNow returns the present state and follows what comes after it.
func (s *Store) watchFromNow() (*Snapshot, *Watcher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(), &Watcher{store: s, next: s.history.end()}
}

// watcher follows the changes from now on.
func (s *Store) watcher() *Watcher {
	_, w := s.watchFromNow()
	return w
}

// How many changes are looked at at once: so many at most, and further ones only as long as
// their objects are not larger, in bytes.
const (
	watchBatch      = 256
	watchBatchBytes = 4 << 20
)

// Next waits for changes and returns what Poll does, which may be no events.
// It fails with the context's error as well.
func (w *Watcher) Next(ctx context.Context, selects func(*Item) bool) ([]Event, uint64, error) {
	for {
		events, version, wake, err := w.Poll(selects)
		if err != nil || wake == nil {
			return events, version, err
		}
		select {
		case <-ctx.Done():
			return nil, version, ctx.Err()
		case <-wake:
		}
	}
}

// Poll returns the events that concern the selection among the next changes,
// and the version up to which nothing else has happened. wake is nil when there
// may be more at once; else it is closed when something happens. Poll fails
// with status 410 when changes it has not seen are not kept any more, and with
// ErrEnded when the type is not read any more.
func (w *Watcher) Poll(selects func(*Item) bool) (events []Event, version uint64, wake <-chan struct{}, err error) {
	changes, version, wake, err := w.pending()
	if err != nil {
		return nil, 0, nil, err
	}
	for _, c := range changes {
		before, after := c.old != nil && selects(c.old), c.item != nil && selects(c.item)
		switch {
		case before && after:
			events = append(events, Event{Modified, c.item, c.version})
		case after:
			events = append(events, Event{Added, c.item, c.version})
		case before:
			events = append(events, Event{Deleted, c.old.gone(c.version), c.version})
		}
	}
	return events, version, wake, nil
}

// gone is the object as of the version at which it went, made once for all watches.
func (i *Item) gone(version uint64) *Item {
	return derive(watched, i, "gone\x00"+strconv.FormatUint(version, 10), func() (*Item, int) {
		gone := i.at(version)
		return gone, len(gone.text) + len(gone.rare.json) + len(gone.rare.masked)
	})
}

// Work is how much the next Poll goes through, in bytes: users with many watches take turns
// with it, see WatchShare. Nothing is held on to meanwhile.
func (w *Watcher) Work(m *Matcher) int {
	if m.cost+m.ofLabels == 0 {
		return 0
	}
	work := 0
	for _, c := range w.peek() {
		work += m.work(c.old, c.item)
	}
	return work
}

// caughtUp is the state a watcher has seen all changes of, nil if there are more.
func (w *Watcher) caughtUp() *Snapshot {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	if w.next != w.store.history.end() {
		return nil
	}
	return w.store.take()
}

// pending takes the changes that wait to be seen.
func (w *Watcher) pending() (changes []change, version uint64, wake <-chan struct{}, err error) {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.next < s.history.first:
		return nil, 0, nil, expired(s.history.since)
	case w.next == s.history.end():
		if s.closed {
			return nil, 0, nil, ErrEnded
		}
		if s.wake == nil {
			s.wake = make(chan struct{})
		}
		return nil, s.version.Load(), s.wake, nil
	}
	changes = slices.Clone(s.history.batch(w.next))
	w.next += uint64(len(changes))
	return changes, changes[len(changes)-1].version, nil, nil
}

// peek returns the changes that pending takes next.
func (w *Watcher) peek() []change {
	s := w.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.next < s.history.first {
		return nil
	}
	return slices.Clone(s.history.batch(w.next))
}

// batch are the changes from a position on that are looked at at once, none at the end.
func (h *history) batch(from uint64) []change {
	changes := h.changes[from-h.first:]
	bytes := 0
	for n, c := range changes {
		if bytes += c.bytes(); n == watchBatch || n > 0 && bytes > watchBatchBytes {
			return changes[:n]
		}
	}
	return changes
}

// bytes is how much JSON a change is about.
func (c change) bytes() int {
	bytes := c.weight()
	if c.item != nil {
		bytes += len(c.item.text)
	}
	return bytes
}

// awake tells everybody who waits that something has changed.
func (s *Store) awake() {
	if s.wake != nil {
		close(s.wake)
		s.wake = nil
	}
}

// close ends all watches.
func (s *Store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.awake()
}

// await returns a channel that is closed at the next change or bookmark, nil
// when the version has been reached.
func (s *Store) await(version uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.version.Load() >= version {
		return nil
	}
	if s.wake == nil {
		s.wake = make(chan struct{})
	}
	return s.wake
}
