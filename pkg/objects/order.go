package objects

import (
	"strings"
)

const (
	orderName    = "name"
	orderCreated = "creationTimestamp"
)

// maxCombined bounds how many orders by several keys a store keeps.
const maxCombined = 8

// Sorts reports whether objects can be ordered by the key.
func (t *Type) Sorts(key string) bool {
	switch key {
	case orderName, orderCreated, "createTime":
		return true
	}
	return t.column(key) >= 0
}

// Unsorted returns the keys of a sortBy that do not order objects of the type.
func (t *Type) Unsorted(sortBy string) []string {
	var unknown []string
	for key := range strings.SplitSeq(sortBy, ",") {
		if key = strings.TrimPrefix(key, "-"); !t.Sorts(key) {
			unknown = append(unknown, key)
		}
	}
	return unknown
}

// order maps what a list is sorted by to the order that serves it. Keys a type
// does not know mean the creation time, as they always did; among several keys
// they mean nothing.
func (t *Type) order(sortBy string) string {
	if !combined(sortBy) {
		return t.orderOf(sortBy)
	}
	var order []string
	seen := make(map[string]bool)
	for key := range strings.SplitSeq(sortBy, ",") {
		name, descending := strings.CutPrefix(key, "-")
		if !t.Sorts(name) {
			continue
		}
		if name = t.orderOf(name); seen[name] {
			continue
		}
		seen[name] = true
		if descending {
			name = "-" + name
		}
		order = append(order, name)
	}
	if len(order) == 0 {
		return orderCreated
	}
	return strings.Join(order, ",")
}

func (t *Type) orderOf(key string) string {
	if key == orderName || t.column(key) >= 0 {
		return key
	}
	return orderCreated
}

// combined reports whether an order has its directions in itself.
func combined(order string) bool {
	return strings.HasPrefix(order, "-") || strings.Contains(order, ",")
}

// less returns the strict order of a key: by its value, then by namespace and
// name, so that equal values never make pages overlap.
func (t *Type) less(order string) func(a, b *Item) bool {
	var compare []func(a, b *Item) int
	for key := range strings.SplitSeq(order, ",") {
		name, descending := strings.CutPrefix(key, "-")
		by := t.comparer(name)
		if descending {
			compare = append(compare, func(a, b *Item) int { return by(b, a) })
		} else {
			compare = append(compare, by)
		}
	}
	if len(compare) == 1 {
		by := compare[0]
		return func(a, b *Item) bool {
			if c := by(a, b); c != 0 {
				return c < 0
			}
			return lessKey(a, b)
		}
	}
	return func(a, b *Item) bool {
		for _, by := range compare {
			if c := by(a, b); c != 0 {
				return c < 0
			}
		}
		return lessKey(a, b)
	}
}

func (t *Type) comparer(key string) func(a, b *Item) int {
	switch key {
	case orderName:
		return func(a, b *Item) int { return strings.Compare(a.Name(), b.Name()) }
	case orderCreated:
		return func(a, b *Item) int {
			switch {
			case a.created < b.created:
				return -1
			case a.created > b.created:
				return 1
			}
			return 0
		}
	}
	n := t.column(key)
	return func(a, b *Item) int { return a.column(n).compare(b.column(n)) }
}

func lessKey(a, b *Item) bool {
	if a.Namespace() != b.Namespace() {
		return a.Namespace() < b.Namespace()
	}
	return a.Name() < b.Name()
}
