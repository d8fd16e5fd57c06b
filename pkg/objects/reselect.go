package objects

// Reselect changes what a watcher shows, by another restriction to what is visible. It
// returns the events among the changes the watcher has not seen, and those by which a client
// that knew what matched before gets to know what matches from now on. It fails as Poll does.
func (w *Watcher) Reselect(before, after *Matcher) (events []Event, err error) {
	for {
		unseen, _, wake, err := w.Poll(before.Matches)
		if err != nil {
			return nil, err
		}
		events = append(events, unseen...)
		if wake == nil {
			continue
		}
		snapshot := w.caughtUp()
		if snapshot == nil {
			continue // something has happened meanwhile
		}
		version := snapshot.Version()
		for _, item := range snapshot.moved(before, after) {
			switch {
			case after.match != nil && !after.match(item):
			case after.places(item):
				events = append(events, Event{Added, item, version})
			default:
				events = append(events, Event{Deleted, item.gone(version), version})
			}
		}
		return events, nil
	}
}

// ReselectWork is how much Reselect goes through, in bytes, see Work.
func (w *Watcher) ReselectWork(before, after *Matcher) int {
	const perItem = 128 // to compare its name
	snapshot := w.store.Snapshot()
	if _, few := difference(before.only, after.only); !few {
		_, bytes := w.store.size()
		return w.Work(before) + snapshot.Len()*perItem + after.cost*bytes
	}
	work := w.Work(before)
	for _, item := range snapshot.moved(before, after) {
		work += perItem + after.cost*len(item.text)
	}
	return work
}

// moved are the objects that one of two matchers places and the other does not.
func (s *Snapshot) moved(before, after *Matcher) []*Item {
	differs := func(item *Item) bool { return before.places(item) != after.places(item) }
	if names, few := difference(before.only, after.only); few {
		return s.only(names, differs)
	}
	return filtered(s.all.orders[orderName], true, differs)
}

// difference are the names that one of two restrictions leaves and the other does not; false
// when these are all but a few.
func difference(before, after *Only) (names []string, few bool) {
	if before == nil || after == nil || before.except != after.except {
		return nil, false
	}
	return append(before.Without(after), after.Without(before)...), true
}
