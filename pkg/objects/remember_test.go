package objects

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

func parsed(t testing.TB, kind *Type, values url.Values) *query.Query {
	t.Helper()
	parameters, err := request.ParseParameters(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	q, _, err := query.Parse(parameters, kind.Filters)
	if err != nil {
		t.Fatal(err)
	}
	return &q
}

// TestRememberedListsAreTheirOwn: what a snapshot remembers for one query
// never answers another, whatever somebody puts into parameters.
func TestRememberedListsAreTheirOwn(t *testing.T) {
	kind := NewCatalog().Type("pods")
	for _, test := range []struct {
		name           string
		first, then    url.Values
		firstTo, thenT []string
	}{
		// Keys were joined with NUL, which a parameter can hold: anybody who
		// may list pods could change what others saw.
		{"a filter in a filter", url.Values{"name": {"web\x00status\x01running"}}, url.Values{"name": {"web"}, "status": {"running"}}, nil, []string{"n/web-2", "n/web-1"}},
		{"a direction in a sort key", url.Values{"sortBy": {"name\x00asc"}, "names": {"web-1,web-2"}}, url.Values{"sortBy": {"name"}, "ascending": {"true"}, "names": {"web-1,web-2"}}, []string{"n/web-2", "n/web-1"}, []string{"n/web-1", "n/web-2"}},
		{"another direction", url.Values{"names": {"web-1,web-2"}}, url.Values{"names": {"web-1,web-2"}, "ascending": {"true"}}, []string{"n/web-2", "n/web-1"}, []string{"n/web-1", "n/web-2"}},
		{"another order", url.Values{"names": {"web-1,web-2"}, "sortBy": {"nodeName"}}, url.Values{"names": {"web-1,web-2"}}, []string{"n/web-1", "n/web-2"}, []string{"n/web-2", "n/web-1"}},
		{"another selector", url.Values{"labelSelector": {"a"}}, url.Values{"labelSelector": {"!a"}}, nil, []string{"n/web-2", "n/web-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := newStore(kind)
			for n := 1; n <= 2; n++ {
				store.put(mustItem(t, kind, sample{namespace: "n", name: fmt.Sprint("web-", n), created: int64(n), node: fmt.Sprint("node-", 3-n), phase: "Running"}.json()))
			}
			if _, err := store.Snapshot().List(t.Context(), "", parsed(t, kind, url.Values{"sortBy": {"nodeName"}})); err != nil {
				t.Fatal(err) // the order that makes a new snapshot
			}
			snapshot := store.Snapshot()
			for n, step := range []struct {
				values url.Values
				want   []string
			}{{test.first, test.firstTo}, {test.then, test.thenT}, {test.first, test.firstTo}} {
				page, err := snapshot.List(t.Context(), "", parsed(t, kind, step.values))
				if err != nil {
					t.Fatal(err)
				}
				if got := keysOf(page.Items); !slices.Equal(got, step.want) {
					t.Errorf("query %d, %q: %v, want %v", n, step.values, got, step.want)
				}
			}
		})
	}
}

// TestRememberedListsAreBounded: a client that asks for ever new lists makes
// a snapshot remember the last ones only.
func TestRememberedListsAreBounded(t *testing.T) {
	kind := NewCatalog().Type("pods")
	store := newStore(kind)
	store.put(mustItem(t, kind, sample{namespace: "n", name: "web"}.json()))
	snapshot := store.Snapshot()
	for n := range 10 * memoryQueries {
		page, err := snapshot.List(t.Context(), "", parsed(t, kind, url.Values{"name": {"web"}, "uid": {strings.Repeat("x", n%(2*memoryQueries))}}))
		if err != nil || page.Total != map[bool]int{true: 1}[n%(2*memoryQueries) == 0] {
			t.Fatalf("query %d: %d, %v", n, page.Total, err)
		}
	}
	if got := len(snapshot.remembered.recent.values); got != memoryQueries || snapshot.remembered.recent.order.Len() != got {
		t.Errorf("%d results, %d in order, want %d", got, snapshot.remembered.recent.order.Len(), memoryQueries)
	}
}

// TestRememberedOnce: a filtered list that many ask for at once is computed once.
func TestRememberedOnce(t *testing.T) {
	var m memory
	var asked sync.WaitGroup
	computed := 0 // without a lock: the race detector would tell
	for range 16 {
		asked.Go(func() {
			got := m.get("key", func() []*Item {
				computed++
				return []*Item{pivot("", "a")}
			})
			if len(got) != 1 {
				t.Errorf("got %v", got)
			}
		})
	}
	asked.Wait()
	if computed != 1 {
		t.Errorf("computed %d times", computed)
	}
}

// TestManyNames: a URL of a megabyte, as large as there can be, is looked up
// in a set. It was compared with every object, which took half a minute.
func TestManyNames(t *testing.T) {
	store := manyPods(10_000)
	values := url.Values{"names": {strings.Repeat("a,", 400_000) + store.Snapshot().Get("team-00", "web-00000-7c9d8b6f5-x0000").Name()}}
	q := parsed(t, store.kind, values)
	started := time.Now()
	page, err := store.Snapshot().List(t.Context(), "", q)
	if err != nil || page.Total != 1 {
		t.Errorf("%d objects, %v", page.Total, err)
	}
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestRememberedOrders: a user with a project filled the memory with the names of its
// objects, in each of thousands of orders that a list can have.
func TestRememberedOrders(t *testing.T) {
	kind := NewCatalog().Type("pods")
	store := newStore(kind)
	store.put(mustItem(t, kind, sample{namespace: "n", name: "web"}.json()))
	snapshot := store.Snapshot()
	for _, first := range []string{"name", "-name", "creationTimestamp", "-creationTimestamp"} {
		for _, second := range []string{"status", "-status", "nodeName", "-nodeName", "podIP", "-podIP"} {
			if _, err := snapshot.List(t.Context(), "", parsed(t, kind, url.Values{"name": {"web"}, "sortBy": {first + "," + second}})); err != nil {
				t.Fatal(err)
			}
			snapshot = store.Snapshot()
			if got := len(snapshot.named.recent.values); got > memoryNamedOrders || snapshot.named.recent.order.Len() != got {
				t.Fatalf("%d orders, %d in order", got, snapshot.named.recent.order.Len())
			}
		}
	}
}
