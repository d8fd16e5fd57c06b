package objects

import "github.com/tidwall/btree"

// tree holds items in one order, with rank access, and can be cloned in
// constant time.
type tree = btree.BTreeG[*Item]

func newTree(less func(a, b *Item) bool) *tree {
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true, Degree: 32})
}

// index holds the same items in several orders. One that a snapshot refers to
// is frozen: a writer clones it, in constant time, before it changes anything.
type index struct {
	generation uint64
	orders     map[string]*tree
}

func newIndex(t *Type, generation uint64, orders []string) *index {
	x := &index{generation: generation, orders: make(map[string]*tree, len(orders))}
	for _, order := range orders {
		x.orders[order] = newTree(t.less(order))
	}
	return x
}

func (x *index) len() int { return x.orders[orderName].Len() }

func (x *index) clone(generation uint64) *index {
	y := &index{generation: generation, orders: make(map[string]*tree, len(x.orders))}
	for order, items := range x.orders {
		y.orders[order] = items.Copy()
	}
	return y
}

// put replaces old, which may be nil, by item, which may be nil.
func (x *index) put(old, item *Item) {
	for _, items := range x.orders {
		if old != nil {
			items.Delete(old)
		}
		if item != nil {
			items.Set(item)
		}
	}
}

// page returns the items with the ranks offset … offset+limit-1.
func page(items *tree, offset, limit int, ascending bool) []*Item {
	total := items.Len()
	if limit < 0 {
		limit = total
	}
	if offset < 0 || offset >= total || limit == 0 {
		return nil
	}
	limit = min(limit, total-offset)
	result := make([]*Item, 0, limit)
	take := func(item *Item) bool {
		result = append(result, item)
		return len(result) < limit
	}
	if ascending {
		first, _ := items.GetAt(offset)
		items.Ascend(first, take)
	} else {
		first, _ := items.GetAt(total - 1 - offset)
		items.Descend(first, take)
	}
	return result
}
