package objects

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// manyTerms are sixteen fields a large ConfigMap has, but not with this value.
func manyTerms(value string) url.Values {
	var terms []string
	for n := range 16 {
		terms = append(terms, fmt.Sprintf("data.k%05d!=%s", 9_999-n, value))
	}
	return url.Values{"fieldSelector": {strings.Join(terms, ",")}}
}

func matcherOf(t testing.TB, kind *Type, selection Selection) *Matcher {
	t.Helper()
	m, err := kind.Matcher(selection)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWatchesShareWhatTheyFind: 500 watches with sixteen fields, of an object of a megabyte
// that was changed again and again, kept all processors busy for seconds.
func TestWatchesShareWhatTheyFind(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	labels := make([]string, 5_000)
	for n := range labels {
		labels[n] = fmt.Sprintf(`"l%05d":"x"`, n)
	}
	manyLabels := func(version int) *Item {
		all := strings.Join(labels, ",")
		return mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a","resourceVersion":"%d","labels":{%s},"annotations":{%s}}}`, version, all, all))
	}
	large := func(version int) *Item { return largeConfigMap(t, kind, version) }
	notIn := make([]string, 128)
	for n := range notIn {
		notIn[n] = fmt.Sprintf("l%05d!=y", 4_999-n)
	}
	for _, test := range []struct {
		name    string
		object  func(version int) *Item
		filters func(watch int) url.Values
	}{
		{"the same fields", large, func(int) url.Values { return manyTerms("y") }},
		{"other values of the same fields", large, func(n int) url.Values { return manyTerms(fmt.Sprint("y", n)) }},
		{"labelSelector", manyLabels, func(int) url.Values { return url.Values{"labelSelector": {strings.Join(notIn, ",")}} }},
		{"label", manyLabels, func(int) url.Values { return url.Values{"label": {strings.Join(notIn, ",")}} }},
		{"annotation", manyLabels, func(int) url.Values { return url.Values{"annotation": {strings.Join(notIn, ",")}} }},
		{"words", manyLabels, func(int) url.Values { return url.Values{query.Text: {"l04991 l04992 l04993 l04994 l04995"}} }},
	} {
		t.Run(test.name, func(t *testing.T) {
			const others = 100
			store := newStore(kind)
			store.put(test.object(1))
			var matchers []*Matcher
			var watchers []*Watcher
			for n := range 1 + others {
				matchers = append(matchers, matcherOf(t, kind, Selection{Query: parsed(t, kind, test.filters(n))}))
				watchers = append(watchers, store.watcher())
			}
			store.put(test.object(2))
			poll := func(from, to int) time.Duration {
				began := time.Now()
				for n := from; n < to; n++ {
					events, _, _, err := watchers[n].Poll(matchers[n].Matches)
					if err != nil || len(events) != 1 || events[0].Type != Modified {
						t.Fatal(events, err)
					}
				}
				return time.Since(began)
			}
			if first, rest := poll(0, 1), poll(1, 1+others); rest > others/5*first {
				t.Errorf("the first of %d watches took %v, the others %v", 1+others, first, rest)
			}
		})
	}
}

// TestWatchWork: watches count what they go through, and nothing for what they do not.
func TestWatchWork(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	store := newStore(kind)
	store.put(largeConfigMap(t, kind, 1))
	size, ofLabels := len(store.Snapshot().Get("n", "a").text), store.Snapshot().Get("n", "a").labelCount()*labelBytes
	watcher := store.watcher()
	store.put(largeConfigMap(t, kind, 2))
	for _, test := range []struct {
		name      string
		selection Selection
		filters   url.Values
		want      int
	}{
		{"everything", Selection{}, nil, 0},
		{"a part of the name", Selection{}, url.Values{"name": {"a"}}, 0},
		{"a field", Selection{}, url.Values{"fieldSelector": {"data.a=b"}}, 2 * size},
		{"sixteen fields", Selection{}, manyTerms("y"), 32 * size},
		{"labels", Selection{}, url.Values{"labelSelector": {"a,b|c"}}, 6 * ofLabels},
		{"words and a filter", Selection{}, url.Values{query.Text: {"a b"}, "alias": {"c"}}, 6 * size},
		{"another namespace", Selection{Namespace: "m"}, manyTerms("y"), 0},
		{"a namespace that is not visible", Selection{Only: NewOnly([]string{"m"})}, manyTerms("y"), 0},
	} {
		test.selection.Query = parsed(t, kind, test.filters)
		if got := watcher.Work(matcherOf(t, kind, test.selection)); got < test.want || got > test.want+32 {
			t.Errorf("%s: %d bytes, want %d", test.name, got, test.want)
		}
	}
}

// TestLargeChangesComeInParts: what a watch looks at in one turn is bounded, and all of it
// comes.
func TestLargeChangesComeInParts(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	store := newStore(kind)
	watcher := store.watcher()
	for n := range 10 {
		store.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a-%d","resourceVersion":"%d"},"data":{"a":%q}}`, n, n+1, strings.Repeat("x", 1<<20))))
	}
	store.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"b","resourceVersion":"11"},"data":{"a":%q}}`, strings.Repeat("x", watchBatchBytes+1))))
	var versions []uint64
	for polls := 0; ; polls++ {
		events, version, wake, err := watcher.Poll(func(*Item) bool { return true })
		if err != nil || len(events) > 4 {
			t.Fatalf("%d events, %v", len(events), err)
		}
		for _, event := range events {
			versions = append(versions, event.Version)
		}
		if wake == nil {
			continue
		}
		if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(versions, want) || version != 11 || polls < 4 {
			t.Errorf("after %d polls: %v", polls, versions)
		}
		return
	}
}

// TestReselectTellsTheDifference: whatever was visible and is, a watch tells of what differs.
func TestReselectTellsTheDifference(t *testing.T) {
	kind := NewCatalog().Type("pods")
	store := newStore(kind)
	version := 0
	for _, namespace := range []string{"a", "b", "c", "d"} {
		for n := range 3 {
			version++
			store.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":%q,"name":"p-%d","resourceVersion":"%d"},"status":{"phase":%q}}`, namespace, n, version, []string{"Running", "Failed"}[n%2])))
		}
	}
	names := func(t *rapid.T) []string {
		return rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c", "missing"}), rapid.ID).Draw(t, "names")
	}
	visible := func(t *rapid.T) *Only {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			return NewOnly(names(t))
		case 1:
			return NewExcept(names(t))
		}
		return nil
	}
	q := parsed(t, kind, url.Values{"fieldSelector": {"status.phase=Running"}})
	rapid.Check(t, func(rt *rapid.T) {
		before, after := matcherOf(t, kind, Selection{Query: q, Only: visible(rt)}), matcherOf(t, kind, Selection{Query: q, Only: visible(rt)})
		watcher := store.watcher()
		if watcher.ReselectWork(before, after) < 0 {
			rt.Fatal("less than no work")
		}
		events, err := watcher.Reselect(before, after)
		if err != nil {
			rt.Fatal(err)
		}
		got, want := map[string]EventType{}, map[string]EventType{}
		for _, event := range events {
			got[event.Item.Namespace()+"/"+event.Item.Name()] = event.Type
		}
		store.Snapshot().All(func(item *Item) bool {
			switch was, is := before.Matches(item), after.Matches(item); {
			case is && !was:
				want[item.Namespace()+"/"+item.Name()] = Added
			case was && !is:
				want[item.Namespace()+"/"+item.Name()] = Deleted
			}
			return true
		})
		if fmt.Sprint(got) != fmt.Sprint(want) || len(events) != len(want) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

// BenchmarkWatchers is a change that 500 watches look at.
func BenchmarkWatchers(b *testing.B) {
	configMaps, pods := NewCatalog().Type("configmaps"), NewCatalog().Type("pods")
	configMap := func(n int) *Item { return largeConfigMap(b, configMaps, n) }
	pod := func(n int) *Item {
		return mustItem(b, pods, strings.Replace(realPod(1, false), `"resourceVersion":"1"`, fmt.Sprintf(`"resourceVersion":"%d"`, n), 1))
	}
	for _, bench := range []struct {
		name     string
		kind     *Type
		object   func(n int) *Item
		watchers int
		filters  func(n int) url.Values
	}{
		{"16 fields of 1 MB", configMaps, configMap, 500, func(int) url.Values { return manyTerms("y") }},
		{"16 fields of 1 MB, other values", configMaps, configMap, 500, func(n int) url.Values { return manyTerms(fmt.Sprint("y", n)) }},
		{"16 fields of 1 MB, one watch", configMaps, configMap, 1, func(int) url.Values { return manyTerms("y") }},
		{"a field of a pod", pods, pod, 5, func(int) url.Values { return url.Values{"fieldSelector": {"status.phase=Running"}} }},
		{"a label of a pod", pods, pod, 5, func(int) url.Values { return url.Values{"labelSelector": {"app=web"}} }},
		{"pods", pods, pod, 5, func(int) url.Values { return nil }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			store := newStore(bench.kind)
			versions := []*Item{bench.object(1), bench.object(2), bench.object(3), bench.object(4)}
			store.put(versions[0])
			var matchers []func(*Item) bool
			var watchers []*Watcher
			for n := range bench.watchers {
				matchers = append(matchers, matcherOf(b, bench.kind, Selection{Query: parsed(b, bench.kind, bench.filters(n))}).Matches)
				watchers = append(watchers, store.watcher())
			}
			b.ReportAllocs()
			for n := 1; b.Loop(); n++ {
				copied := *versions[n%len(versions)] // another item, as each change makes
				store.put(&copied)
				for n, watcher := range watchers {
					if _, _, _, err := watcher.Poll(matchers[n]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
