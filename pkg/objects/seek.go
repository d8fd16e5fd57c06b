package objects

import "fmt"

// With calls yield with the objects that have exactly this text in a column of
// texts, in the order of namespaces and names, until it returns false. It fails
// when the type has no such column. It costs the logarithm of the number of
// objects and what is found: the order of the column is kept from the first call
// on.
func (s *Snapshot) With(column, text string, yield func(*Item) bool) error {
	kind := s.store.kind
	n := kind.column(column)
	if n < 0 {
		return fmt.Errorf("%s have no column %q", kind.Resource, column)
	}
	items, found := s.all.orders[column]
	if !found {
		if s.store.snapshot.Load() == s {
			return s.store.withOrder(column).With(column, text, yield)
		}
		items = s.sorted("", column, s.all)
	}
	// Before all that have the text: it has neither namespace nor name.
	first := &Item{text: text, words: make([]uint64, 2*len(kind.Columns))}
	first.words[2*n+1] = uint64(span(0, len(text)))
	items.Ascend(first, func(item *Item) bool { return item.column(n).Text == text && yield(item) })
	return nil
}
