package objects

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// Only restricts a list to the objects of some namespaces or, of a type that
// belongs to none, to those with some names; or to all but these.
type Only struct {
	names  []string
	except bool
	key    string
}

// NewExcept returns a restriction to all but the names, in any order.
func NewExcept(names []string) *Only {
	o := NewOnly(names)
	o.except, o.key = true, "except-"+o.key
	return o
}

// NewOnly returns a restriction to names, in any order.
func NewOnly(names []string) *Only {
	o := &Only{names: slices.Compact(slices.Sorted(slices.Values(names)))}
	digest := sha256.New()
	for _, name := range o.names {
		_, _ = digest.Write([]byte(name + "\x00"))
	}
	o.key = base64.RawURLEncoding.EncodeToString(digest.Sum(nil))
	return o
}

// Key identifies the names among all sets of names.
func (o *Only) Key() string { return o.key }

// Names are the names, in order; none of a nil restriction. They must not be changed.
func (o *Only) Names() []string {
	if o == nil {
		return nil
	}
	return slices.Clip(o.names)
}

// Without are the names that are not names of another restriction, in order.
func (o *Only) Without(other *Only) []string {
	var names []string
	for _, name := range o.Names() {
		if _, found := slices.BinarySearch(other.Names(), name); !found {
			names = append(names, name)
		}
	}
	return names
}

// Same reports whether two restrictions leave the same; nil leaves everything.
func (o *Only) Same(other *Only) bool {
	if o == nil || other == nil {
		return o == other
	}
	return o.key == other.key
}

// contains reports whether a restriction leaves an object.
func (o *Only) contains(kind *Type, item *Item) bool {
	name := item.Name()
	if kind.Namespaced {
		name = item.Namespace()
	}
	_, found := slices.BinarySearch(o.names, name)
	return found != o.except
}

// selectOnly costs as much as there are objects the restriction leaves, once in
// the life of the snapshot.
func (s *Snapshot) selectOnly(ctx context.Context, selection Selection) (Page, error) {
	q, only := selection.Query, selection.Only
	match, err := s.store.kind.matcher(q)
	if err != nil {
		return Page{}, err
	}
	match = both(match, selection.Match)
	if selection.Namespace != "" {
		match = both(match, func(i *Item) bool { return i.Namespace() == selection.Namespace })
	}
	key := selection.Namespace + "\x00only\x00" + only.key + "\x00" + selection.Key + "\x00" + q.Raw
	cost := func() int {
		count, each := s.within(only.names)
		return count*sortedBytes + s.store.kind.cost(q, selection.terms, count, each)
	}
	matching, err := s.scan(ctx, key, cost, func() []*Item {
		items := s.only(only.names, match)
		less := s.store.kind.less(s.store.kind.order(q.SortBy))
		slices.SortFunc(items, func(a, b *Item) int {
			if less(a, b) == q.Ascending {
				return -1
			}
			return 1
		})
		return items
	})
	return Page{Total: len(matching), Items: pageOf(matching, q)}, err
}

func (s *Snapshot) only(names []string, match func(*Item) bool) []*Item {
	var items []*Item
	_, each := s.within(names)
	each(func(item *Item) bool {
		if match == nil || match(item) {
			items = append(items, item)
		}
		return true
	})
	return items
}

// within returns how many objects there are of some namespaces, or at most with some names,
// and what visits them until it is told to stop.
func (s *Snapshot) within(names []string) (count int, each func(visit func(*Item) bool)) {
	if !s.store.kind.Namespaced {
		return len(names), func(visit func(*Item) bool) {
			for _, name := range names {
				if item := s.Get("", name); item != nil && !visit(item) {
					return
				}
			}
		}
	}
	var places []*tree
	for _, name := range names {
		if where, found := s.namespaces.Get(name); found {
			places = append(places, where.orders[orderName])
			count += where.len()
		}
	}
	return count, func(visit func(*Item) bool) {
		goesOn := true
		for _, place := range places {
			place.Scan(func(item *Item) bool {
				goesOn = visit(item)
				return goesOn
			})
			if !goesOn {
				return
			}
		}
	}
}

func pageOf(items []*Item, q *query.Query) []*Item {
	first, last := min(q.Offset(), len(items)), len(items)
	if q.Limit != query.Unlimited {
		last = min(first+q.Limit, last)
	}
	return items[first:last]
}

// NewSnapshot is a list of objects of a type and of further ones in JSON, as if they were
// all there are: for what is put together from elsewhere. What is no object is left out.
func NewSnapshot(kind *Type, items []*Item, further ...string) *Snapshot {
	store := newStore(kind)
	items = slices.Clone(items)
	for _, object := range further {
		if item, err := newItem(kind, object); err == nil {
			items = append(items, item)
		}
	}
	store.replace(items, 0)
	return store.Snapshot()
}
