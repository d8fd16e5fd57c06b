package objects

import (
	"sort"
	"strings"
)

// names are the names of all items of an order in one text, so that looking
// for a part of a name is one pass over consecutive memory instead of a visit
// to every object.
type names struct {
	items []*Item
	text  string // each name followed by a NUL, which no name has
	ends  []int  // where the name of each item ends in text
}

func newNames(items *tree, ascending bool) *names {
	n := &names{items: make([]*Item, 0, items.Len()), ends: make([]int, 0, items.Len())}
	var text strings.Builder
	add := func(item *Item) bool {
		n.items = append(n.items, item)
		text.WriteString(item.Name())
		n.ends = append(n.ends, text.Len())
		text.WriteByte(0)
		return true
	}
	if ascending {
		items.Scan(add)
	} else {
		items.Reverse(add)
	}
	n.text = text.String()
	return n
}

// containing returns the items whose name has a part and that match, in order.
func (n *names) containing(part string, match func(*Item) bool) []*Item {
	if strings.IndexByte(part, 0) >= 0 {
		return nil
	}
	var result []*Item
	for at, from := 0, 0; ; from++ {
		found := strings.Index(n.text[at:], part)
		if found < 0 || from == len(n.items) {
			return result
		}
		at += found
		from += sort.SearchInts(n.ends[from:], at+len(part))
		if from == len(n.items) {
			return result
		}
		if item := n.items[from]; match == nil || match(item) {
			result = append(result, item)
		}
		at = n.ends[from] + 1
	}
}
