package objects

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestDerivedOnce: what many ask for at the same time is computed once, and what was not
// asked for the longest is forgotten when there is too much.
func TestDerivedOnce(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	object := func(n int) *Item {
		return mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a-%d"},"data":{"a":%q}}`, n, strings.Repeat("x", largeObject)))
	}
	found := &derivations{limit: 10 * (largeObject + 1024)}
	var computed atomic.Int32
	ask := func(item *Item, key string, size int) string {
		return derive(found, item, key, func() (string, int) {
			computed.Add(1)
			return item.Name() + key, size
		})
	}
	first := object(0)
	var asking sync.WaitGroup
	for range 100 {
		asking.Go(func() {
			if got := ask(first, "-x", 0); got != "a-0-x" {
				t.Error(got)
			}
		})
	}
	asking.Wait()
	if n := computed.Load(); n != 1 {
		t.Errorf("computed %d times", n)
	}
	for _, test := range []struct {
		name     string
		item     *Item
		key      string
		size     int
		computed int32
	}{
		{"another key", first, "-y", 0, 1},
		{"another version of the object", object(0), "-x", 0, 1},
		{"known", first, "-y", 0, 0},
		{"a value that takes all there is", object(1), "-x", found.limit, 1},
		{"what it has displaced", first, "-y", 0, 1},
	} {
		before := computed.Load()
		if got := ask(test.item, test.key, test.size); got != test.item.Name()+test.key {
			t.Errorf("%s: %s", test.name, got)
		}
		if n := computed.Load() - before; n != test.computed {
			t.Errorf("%s: computed %d times", test.name, n)
		}
	}
	for n := range 100 {
		asking.Go(func() { ask(object(n), "-x", n) })
	}
	asking.Wait()
	bytes := 0
	for _, element := range found.objects {
		bytes += element.Value.(*derivedOf).bytes
	}
	if found.bytes > found.limit || found.bytes != bytes || found.order.Len() != len(found.objects) || len(found.objects) < 5 {
		t.Errorf("%d bytes are remembered of %d objects, which weigh %d, at most %d may be", found.bytes, len(found.objects), bytes, found.limit)
	}
}
