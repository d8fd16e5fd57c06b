package objects

import (
	"context"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// manyBytes is how much JSON a filter goes through at once, in bytes; what goes through
// more waits for its turn.
const manyBytes = 16 << 20

// scanWithin is how long a filter waits for its turn.
const scanWithin = 30 * time.Second

// scanning are the turns of filters that go through much JSON: however many clients send
// them, one processor is left for everything else. Users take turns, so that one who sends
// many delays another by one of them.
var scanning = turns.New(1, 1, scanWithin, "too many lists are being searched for fields or words, try again later")

// scan returns the matching items of a query, which it remembers by a key. compute finds
// them: fields and words are looked for in the JSON of each object, once for each of them.
func (s *Snapshot) scan(ctx context.Context, key string, q *query.Query, items *tree, compute func() []*Item) ([]*Item, error) {
	if searchesMuch(q, items) && !s.remembered.has(key) {
		release, err := scanning.Take(ctx, holderOf(ctx))
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return s.remembered.get(key, compute), nil
}

// searchesMuch reports whether a query goes through so much JSON that it needs a turn.
func searchesMuch(q *query.Query, items *tree) bool {
	terms := len(q.Text)
	if q.Fields != nil {
		terms += len(q.Fields.Requirements())
	}
	if terms == 0 {
		return false
	}
	size := 0
	items.Scan(func(item *Item) bool {
		size += len(item.text)
		return size*terms <= manyBytes
	})
	return size*terms > manyBytes
}
