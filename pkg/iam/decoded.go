package iam

import (
	"context"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Objects are what was made of the objects of a snapshot, ordered by name, then
// namespace. They must not be changed.
type Objects[T any] struct {
	// Revision tells apart the states of one type; a later state has a greater one. Changes
	// of objects that leave what was made of them as it was have the same: labels that mean
	// nothing here, annotations, and states of objects.
	Revision uint64
	Items    []*T
}

// decoded makes values of items. A value is made once per version of an
// object: a change of one object does not touch the others.
type decoded[T any] struct {
	present atomic.Pointer[decoding[T]]
	mu      sync.Mutex
}

type decoding[T any] struct {
	Objects[T]
	snapshot *objects.Snapshot
	items    []*objects.Item // those of Objects.Items
}

// of returns the values of the present state of a type.
func (d *decoded[T]) of(ctx context.Context, cache *objects.Cache, kind *objects.Type, decode func(*objects.Item) (*T, error)) (Objects[T], error) {
	view, err := cache.View(ctx, kind)
	if err != nil {
		return Objects[T]{}, err
	}
	if present := d.present.Load(); present != nil && present.snapshot == view.Snapshot {
		return present.Objects, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// Asked for again: who waited for the lock must not go back in time.
	if view, err = cache.View(ctx, kind); err != nil {
		return Objects[T]{}, err
	}
	before := d.present.Load()
	if before == nil {
		before = &decoding[T]{}
	}
	if before.snapshot == view.Snapshot {
		return before.Objects, nil
	}
	next := &decoding[T]{snapshot: view.Snapshot, items: make([]*objects.Item, 0, view.Len())}
	next.Items = make([]*T, 0, view.Len())
	known, same := 0, before.snapshot != nil // known walks before.items, which have the same order
	view.All(func(item *objects.Item) bool {
		for known < len(before.items) && compareItems(before.items[known], item) < 0 {
			known++
		}
		if known < len(before.items) && before.items[known] == item {
			next.add(item, before.Items[known])
			return true
		}
		value, err := decode(item)
		if err != nil {
			// One bad object must not keep everybody out (ks#6149): it gives
			// nothing until it is mended.
			slog.ErrorContext(ctx, "left out, it cannot be read", "resource", kind.Resource, "name", item.Name(), "error", err)
			return true
		}
		if known < len(before.items) && compareItems(before.items[known], item) == 0 && reflect.DeepEqual(before.Items[known], value) {
			value = before.Items[known] // who has seen the state before knows this one
		} else {
			same = false
		}
		next.add(item, value)
		return true
	})
	next.Revision = before.Revision
	if !same || len(next.Items) != len(before.Items) {
		next.Revision++
	}
	d.present.Store(next)
	return next.Objects, nil
}

func (d *decoding[T]) add(item *objects.Item, value *T) {
	d.items = append(d.items, item)
	d.Items = append(d.Items, value)
}

// compareItems is the order in which a snapshot walks its items.
func compareItems(a, b *objects.Item) int {
	return compareNames(a.Name(), a.Namespace(), b.Name(), b.Namespace())
}

func compareNames(name, namespace, otherName, otherNamespace string) int {
	switch {
	case name < otherName:
		return -1
	case name > otherName:
		return 1
	case namespace < otherNamespace:
		return -1
	case namespace > otherNamespace:
		return 1
	}
	return 0
}
