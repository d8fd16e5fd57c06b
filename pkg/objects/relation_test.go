package objects

import (
	"fmt"
	"testing"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

// What is counted equals a recount after any changes.
func TestCountsEqualRecount(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store := newStore(kind)
		pod := func() *Item {
			claims := ""
			for n := range rapid.IntRange(0, 2).Draw(t, "claims") {
				claims += fmt.Sprintf(`{"name":"v%d","persistentVolumeClaim":{"claimName":"c%d"}},`, n, rapid.IntRange(0, 2).Draw(t, "claim"))
			}
			item, err := newItem(kind, fmt.Sprintf(`{"metadata":{"namespace":"n%d","name":"p%d"},"spec":{"volumes":[%s{"name":"e","emptyDir":{}}]}}`,
				rapid.IntRange(0, 1).Draw(t, "namespace"), rapid.IntRange(0, 4).Draw(t, "pod"), claims))
			if err != nil {
				t.Fatal(err)
			}
			return item
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":     func(*rapid.T) { store.put(pod()) },
			"remove":  func(*rapid.T) { store.remove(pod()) },
			"replace": func(*rapid.T) { store.replace([]*Item{pod()}, 0) },
			"": func(t *rapid.T) {
				recount := newCounts(claimKeys)
				store.Snapshot().All(func(item *Item) bool {
					recount.change(nil, item)
					return true
				})
				if fmt.Sprint(recount.of) != fmt.Sprint(store.counts.of) {
					t.Fatalf("counted %v, recounted %v", store.counts.of, recount.of)
				}
			},
		})
	})
}

func TestAnnotators(t *testing.T) {
	catalog := NewCatalog()
	for _, test := range []struct {
		name, resource, object string
		counts                 map[string]int // by resource and key
		want                   map[string]string
	}{
		{"a claim nobody mounts", "persistentvolumeclaims", `{"metadata":{"namespace":"a","name":"c"}}`, nil,
			map[string]string{"in-use": "false", "allow-snapshot": "false"}},
		{"a claim in use, of a driver with snapshots", "persistentvolumeclaims",
			`{"metadata":{"namespace":"a","name":"c","annotations":{"volume.beta.kubernetes.io/storage-provisioner":"d.io","x":"y"}}}`,
			map[string]int{"pods a/c": 2, "volumesnapshotclasses d.io": 1}, map[string]string{"in-use": "true", "allow-snapshot": "true"}},
		{"a claim of the same name elsewhere is in use", "persistentvolumeclaims", `{"metadata":{"namespace":"a","name":"c"}}`,
			map[string]int{"pods b/c": 1}, map[string]string{"in-use": "false"}},
		{"a storage class", "storageclasses", `{"metadata":{"name":"s"}}`, map[string]int{"persistentvolumeclaims s": 3}, map[string]string{"pvc-count": "3"}},
		{"a snapshot class", "volumesnapshotclasses", `{"metadata":{"name":"s"}}`, map[string]int{"volumesnapshots s": 1}, map[string]string{"snapshot-count": "1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			kind := catalog.Type(test.resource)
			item, err := newItem(kind, test.object)
			if err != nil {
				t.Fatal(err)
			}
			before := item.JSON()
			got := item.with(kind.annotator.values(item, func(resource, key string) int { return test.counts[resource+" "+key] }))
			for name, want := range test.want {
				if value := gjson.Get(got.JSON(), `metadata.annotations.kubesphere\.io/`+name).String(); value != want {
					t.Errorf("%s is %q, want %q in %s", name, value, want, got.JSON())
				}
			}
			if kept := gjson.Get(before, "metadata.annotations.x").String(); gjson.Get(got.JSON(), "metadata.annotations.x").String() != kept || item.JSON() != before {
				t.Errorf("what was there changed: %s", got.JSON())
			}
		})
	}
}
