package objects

import "github.com/super-kubenetes/ks-apiserver/pkg/query"

// manyBytes is how much JSON a filter goes through at once, in bytes; what goes through
// more waits for its turn.
const manyBytes = 16 << 20

// scanning is the turn of filters that go through much JSON: however many clients send
// them, one processor is left for everything else.
var scanning = make(chan struct{}, 1)

// scan calls compute for a query of items. Fields and words are looked for in the JSON of
// each object, once for each of them.
func scan(q *query.Query, items *tree, compute func() []*Item) []*Item {
	terms := len(q.Text)
	if q.Fields != nil {
		terms += len(q.Fields.Requirements())
	}
	if terms > 0 {
		size := 0
		items.Scan(func(item *Item) bool {
			size += len(item.text)
			return size*terms <= manyBytes
		})
		if size*terms > manyBytes {
			scanning <- struct{}{}
			defer func() { <-scanning }()
		}
	}
	return compute()
}
