package objects

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// takeAllScans takes all turns, jane's among them.
func takeAllScans(t *testing.T) (release func()) {
	t.Helper()
	var taken []func()
	for n := range maxScans {
		who := "user jane"
		if n > 0 {
			who += fmt.Sprint(n)
		}
		one, err := scanning.Take(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, one)
	}
	return func() {
		for _, one := range taken {
			one()
		}
	}
}

// TestScansTakeTurns: sixty requests that looked for sixteen fields in 55 MB kept both
// processors from everybody else.
func TestScansTakeTurns(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	store := newStore(kind)
	for n := range 20 {
		store.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a-%d"},"data":{"a":%q}}`, n, strings.Repeat("x", 1<<20))))
	}
	large := store.Snapshot()
	few := newStore(kind)
	few.put(mustItem(t, kind, `{"metadata":{"namespace":"n","name":"a"},"data":{"a":"x"}}`))
	as := func(ctx context.Context, name string) context.Context {
		return turns.WithHolder(ctx, "user "+name)
	}
	listed := func(ctx context.Context, snapshot *Snapshot, selector string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := snapshot.List(ctx, "", parsed(t, kind, url.Values{"fieldSelector": {selector}}))
			done <- err
		}()
		return done
	}
	release := takeAllScans(t)
	var others []chan error
	for n := range 20 {
		others = append(others, listed(as(t.Context(), "jane"), large, fmt.Sprintf("data.a=%d", n)))
	}
	going, goes := context.WithCancel(as(t.Context(), "joe"))
	gone := listed(going, large, "data.a=gone")
	waits := listed(as(t.Context(), "john"), large, "data.a=y")
	select {
	case err := <-listed(t.Context(), few.Snapshot(), "data.a=y"):
		if err != nil {
			t.Error(err)
		}
	case <-time.After(wait.Timeout):
		t.Error("a few objects wait for a large scan")
	}
	select {
	case err := <-waits:
		t.Errorf("a large scan does not wait for another: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	goes()
	if err := <-gone; !apierrors.IsTooManyRequests(err) {
		t.Errorf("a client that goes waits on: %v", err)
	}
	release()
	if err := <-waits; err != nil {
		t.Error(err)
	}
	for _, other := range others {
		if err := <-other; err != nil {
			t.Error(err)
		}
	}
}

// TestCost: filters by annotations, orders nobody keeps, and lists of many labels took no
// turn: sixty at once kept the processors from everybody else.
func TestCost(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	large, labelled, many, visible := newStore(kind), newStore(kind), newStore(kind), newStore(kind)
	large.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"name":"a","annotations":{"a":%q}}}`, strings.Repeat("x", manyBytes/3))))
	var labels []string
	for n := range 2000 {
		labels = append(labels, fmt.Sprintf(`"l-%d":"x"`, n))
	}
	for n := range 10 {
		labelled.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"name":"a-%d","labels":{%s}}}`, n, strings.Join(labels, ","))))
	}
	for n := range manyBytes/sortedBytes + 1 {
		many.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"name":"a-%d","labels":{"a":"b"}}}`, n)))
	}
	var values []string
	for n := range 200 {
		values = append(values, fmt.Sprint("x", n))
	}
	in := "a in (" + strings.Join(values, ",") + ")"
	for _, test := range []struct {
		name  string
		store *Store
		query url.Values
		turn  bool
	}{
		{"an annotation of a large object", large, url.Values{"annotation": {"a=b"}}, false},
		{"two annotations", large, url.Values{"annotation": {"a=b,c=d"}}, true},
		{"a set of annotations", large, url.Values{"annotation": {in}}, true},
		{"three fields", large, url.Values{"fieldSelector": {"data.a=b,data.c=d,data.e=f"}}, true},
		{"an alias and owners", large, url.Values{"alias": {"a"}, "ownerKind": {"b"}, "ownerReference": {"c"}}, true},
		{"a name", large, url.Values{"name": {"a"}}, false},
		{"a label", labelled, url.Values{"labelSelector": {"a=b"}}, false},
		{"a set of labels", labelled, url.Values{"labelSelector": {in}}, true},
		{"a set of labels, as a filter", labelled, url.Values{"label": {in}}, true},
		{"many objects", many, url.Values{"labelSelector": {"a=b"}}, false},
	} {
		items := test.store.Snapshot().all.orders[orderName]
		if cost := kind.cost(parsed(t, kind, test.query), 0, items.Len(), items.Scan); cost > manyBytes != test.turn {
			t.Errorf("%s costs %d", test.name, cost)
		}
	}
	// What one sees of many objects, in order: all of them, or a few.
	for _, place := range []string{"n", "m"} {
		for n := range manyBytes/sortedBytes + 1 {
			if place == "n" || n < 10 {
				visible.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":%q,"name":"a-%d"}}`, place, n)))
			}
		}
	}
	release := takeAllScans(t)
	defer release()
	for place, turn := range map[string]bool{"n": true, "m": false} {
		ctx, cancel := context.WithTimeout(turns.WithHolder(t.Context(), "user joe"), 50*time.Millisecond)
		_, err := visible.Snapshot().Select(ctx, Selection{Query: parsed(t, kind, nil), Only: NewOnly([]string{place})})
		if cancel(); apierrors.IsTooManyRequests(err) != turn {
			t.Errorf("the objects of %s: %v", place, err)
		}
	}
	ctx, cancel := context.WithTimeout(turns.WithHolder(t.Context(), "user joe"), 50*time.Millisecond)
	defer cancel()
	past := many.Snapshot()
	many.put(mustItem(t, kind, `{"metadata":{"name":"further"}}`))
	if _, err := past.List(ctx, "", parsed(t, kind, url.Values{"sortBy": {"-name,creationTimestamp"}})); !apierrors.IsTooManyRequests(err) {
		t.Errorf("an order that is not kept takes no turn: %v", err)
	}
}
