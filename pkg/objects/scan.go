package objects

import (
	"context"
	"runtime"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

const (
	// manyBytes is how much a list may go through at once, in bytes of JSON; what goes
	// through more waits for its turn.
	manyBytes = 16 << 20
	// scanWithin is how long a list waits for its turn.
	scanWithin = 30 * time.Second
	// visitedBytes and sortedBytes are what it takes to visit an object and to sort it, as
	// bytes of JSON that are gone through in that time.
	visitedBytes = 128
	sortedBytes  = 3 << 10
	// labelBytes is what it takes to compare a label.
	labelBytes = 8
)

// scanning are the turns of lists that go through much: however many clients send them, half
// of the processors are left for everything else. Users take turns, so that one who sends
// many delays another by one of them.
var (
	maxScans = max(1, runtime.GOMAXPROCS(0)/2)
	scanning = turns.New(maxScans, 1, scanWithin, "too many lists are being searched or sorted, try again later")
)

// scan returns the matching items of a query, which it remembers by a key. compute finds
// them, at a cost as of Type.cost.
func (s *Snapshot) scan(ctx context.Context, key string, cost func() int, compute func() []*Item) ([]*Item, error) {
	if !s.remembered.has(key) {
		release, err := takeTurn(ctx, cost())
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return s.remembered.get(key, compute), nil
}

// takeTurn waits for a turn of the user in ctx to go through so much, in bytes of JSON, and
// fails with 429 without one.
func takeTurn(ctx context.Context, bytes int) (release func(), err error) {
	if bytes <= manyBytes {
		return func() {}, nil
	}
	return scanning.Take(ctx, turns.HolderFrom(ctx))
}

// cost is what a query goes through, in bytes of JSON: fields, words and annotations are
// looked for in the JSON of each object, once for each of them, and so are further terms.
// Beyond manyBytes it is not exact. each visits the objects, of which there are count.
func (t *Type) cost(q *query.Query, further, count int, each func(visit func(*Item) bool)) int {
	terms, ofLabels := t.terms(q)
	terms += further
	total := count * visitedBytes
	if terms+ofLabels == 0 || total > manyBytes {
		return total
	}
	each(func(item *Item) bool {
		total += terms*len(item.text) + ofLabels*labelBytes*item.labelCount()
		return total <= manyBytes
	})
	return total
}

// terms counts what a query looks for in the JSON and in the labels of each object.
func (t *Type) terms(q *query.Query) (inJSON, inLabels int) {
	tests, _ := t.tests(q) // an error is that of the list
	for _, test := range tests {
		inJSON, inLabels = inJSON+test.cost, inLabels+test.ofLabels
	}
	if q.Fields != nil {
		inJSON += len(q.Fields.Requirements())
	}
	return inJSON, inLabels
}
