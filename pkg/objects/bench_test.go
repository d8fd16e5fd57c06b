package objects

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// manyPods is a store of n pods of 4 to 5 KB.
var manyPods = func() func(n int) *Store {
	var mu sync.Mutex
	stores := map[int]*Store{}
	return func(n int) *Store {
		mu.Lock()
		defer mu.Unlock()
		if stores[n] == nil {
			kind := NewCatalog().Type("pods")
			stores[n] = newStore(kind)
			all := make([]*Item, n)
			for k := range all {
				all[k] = item(kind, realPod(k, false))
			}
			stores[n].replace(all, 0)
		}
		return stores[n]
	}
}()

func BenchmarkPage(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			store := manyPods(n)
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				page, err := store.Snapshot().List(b.Context(), "", &query.Query{Page: 1 + k%(n/10), Limit: 10, SortBy: "createTime"})
				if err != nil || len(page.Items) != 10 || page.Total != n {
					b.Fatal(len(page.Items), err)
				}
			}
		})
	}
}

func BenchmarkPageInNamespace(b *testing.B) {
	store := manyPods(10_000)
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		page, err := store.Snapshot().List(b.Context(), fmt.Sprintf("team-%02d", k%40), &query.Query{Page: 1 + k%20, Limit: 10, SortBy: "createTime"})
		if err != nil || len(page.Items) != 10 || page.Total != 250 {
			b.Fatal(len(page.Items), page.Total, err)
		}
	}
}

// BenchmarkNameFilter searches 10,000 pods for ever new parts of a name: none
// of the answers is remembered. The budget is 0.5 ms.
func BenchmarkNameFilter(b *testing.B) {
	store := manyPods(10_000)
	for _, search := range []struct{ name, pattern string }{{"rare", "b-%05d-"}, {"common", "-7c9d8b6f5-x%.1d"}} {
		b.Run(search.name, func(b *testing.B) {
			b.ReportAllocs()
			for k := 0; b.Loop(); k++ {
				part := fmt.Sprintf(search.pattern, k%10_000)
				q := &query.Query{Page: 1, Limit: 10, SortBy: "createTime", Filters: []query.Filter{{Key: "name", Value: part}}, Raw: part + strconv.Itoa(k)}
				if page, err := store.Snapshot().List(b.Context(), "", q); err != nil || len(page.Items) == 0 && search.name == "rare" {
					b.Fatal(part, page.Total, err)
				}
			}
		})
	}
	// What the first search after a change costs.
	b.Run("after a change", func(b *testing.B) {
		changing, one := manyPods(10_001), manyPods(1_000).Snapshot().Get("team-00", "web-00000-7c9d8b6f5-x0000")
		b.ReportAllocs()
		for k := 0; b.Loop(); k++ {
			changing.put(one)
			q := &query.Query{Page: 1, Limit: 10, SortBy: "createTime", Filters: []query.Filter{{Key: "name", Value: "b-00007-"}}, Raw: "changed"}
			if _, err := changing.Snapshot().List(b.Context(), "", q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkUpdate changes one of 10,000 pods, with no reader and with one that
// takes a snapshot between any two changes, which makes every change copy.
func BenchmarkUpdate(b *testing.B) {
	kind := NewCatalog().Type("pods")
	for _, reads := range []bool{false, true} {
		b.Run(map[bool]string{false: "alone", true: "between snapshots"}[reads], func(b *testing.B) {
			store := newStore(kind)
			all := manyPods(10_000).Snapshot()
			pods := make([]*Item, 0, all.Len())
			all.All(func(item *Item) bool {
				pods = append(pods, item)
				return true
			})
			store.replace(pods, 0)
			b.ReportAllocs()
			for b.Loop() {
				store.put(pods[rand.IntN(len(pods))])
				if reads {
					store.Snapshot()
				}
			}
		})
	}
}

// BenchmarkIngest makes an item of a pod as kube-apiserver sends it.
func BenchmarkIngest(b *testing.B) {
	kind := NewCatalog().Type("pods")
	pod := realPod(1, true)
	b.SetBytes(int64(len(pod)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newItem(kind, pod); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMemoryPerPod: a cached pod, with its part in all orders, takes at most
// half as much again as its compact JSON.
func TestMemoryPerPod(t *testing.T) {
	const pods = 4000
	kind := NewCatalog().Type("pods")
	before := heap()
	store := newStore(kind)
	items := make([]*Item, pods)
	size := 0
	for n := range items {
		items[n] = mustItem(t, kind, realPod(n, true))
		size += len(items[n].JSON())
	}
	store.replace(items, 0)
	clear(items) // the store holds them, the test need not
	for _, sortBy := range []string{"status", "phase", "nodeName", "startTime"} {
		if _, err := store.Snapshot().List(t.Context(), "", &query.Query{Page: 1, Limit: 1, SortBy: sortBy}); err != nil {
			t.Fatal(err)
		}
	}
	ratio := float64(heap()-before) / float64(size)
	t.Logf("%d bytes of JSON per pod, %.2f times as much memory", size/pods, ratio)
	if size/pods < 4000 || size/pods > 5500 {
		t.Errorf("the pods of this test are not realistic: %d bytes", size/pods)
	}
	if ratio > 1.5 {
		t.Errorf("a pod takes %.2f times the memory of its JSON, at most 1.5 is allowed", ratio)
	}
	runtime.KeepAlive(store)
}

func heap() uint64 {
	var stats runtime.MemStats
	for range 2 { // the second frees what finalizers held
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestRealPod: the pod of the benchmarks has the size it claims.
func TestRealPod(t *testing.T) {
	if size := len(realPod(1, true)); size < 12_000 || size > 16_000 {
		t.Errorf("%d bytes with managed fields", size)
	}
}
