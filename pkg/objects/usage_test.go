package objects

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"pgregory.net/rapid"
)

func demandingPod(name, node, phase string, cpu, memory int) string {
	return fmt.Sprintf(`{"metadata":{"namespace":"a","name":%q,"uid":%q,"resourceVersion":"%s-%d-%d"},"spec":{"nodeName":%q,"containers":[
		{"name":"m","resources":{"requests":{"cpu":"%dm","memory":"%dMi"},"limits":{"cpu":"%dm"}}}]},"status":{"phase":%q}}`,
		name, name, phase+node, cpu, memory, node, cpu, memory, 2*cpu, phase)
}

// The sums of a node are what its pods add up to, after any changes (an
// incremental sum that drifts would never be noticed otherwise).
func TestUsageEqualsRecount(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store := newStore(kind)
		pod := func() *Item {
			item, err := newItem(kind, demandingPod(
				fmt.Sprintf("p%d", rapid.IntRange(0, 5).Draw(t, "pod")), rapid.SampledFrom([]string{"", "n1", "n2"}).Draw(t, "node"),
				rapid.SampledFrom([]string{"Running", "Pending", "Succeeded", "Failed"}).Draw(t, "phase"),
				rapid.IntRange(0, 3).Draw(t, "cpu"), rapid.IntRange(0, 3).Draw(t, "memory")))
			if err != nil {
				t.Fatal(err)
			}
			return item
		}
		t.Repeat(map[string]func(*rapid.T){
			"put":    func(*rapid.T) { store.put(pod()) },
			"remove": func(*rapid.T) { store.remove(pod()) },
			"replace": func(*rapid.T) {
				first, second := pod(), pod()
				if first.Name() == second.Name() {
					store.replace([]*Item{first}, 0)
				} else {
					store.replace([]*Item{first, second}, 0)
				}
			},
			"": func(t *rapid.T) {
				recount := newUsage()
				store.Snapshot().All(func(item *Item) bool {
					recount.change(nil, item)
					return true
				})
				if !maps.EqualFunc(recount.sums, store.usage.sums, func(a, b *amounts) bool { return *a == *b }) {
					t.Fatalf("sums %v, recounted %v", store.usage.sums, recount.sums)
				}
			},
		})
	})
}

func TestAnnotate(t *testing.T) {
	nodes, pods := NewCatalog().Type("nodes"), NewCatalog().Type("pods")
	node, err := newItem(nodes, `{"metadata":{"name":"n1","uid":"u","resourceVersion":"1","annotations":{"kept":"yes","with.dots/and\"quotes":"x"}},"status":{"allocatable":{"cpu":"2","memory":"1Gi"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	store := newStore(pods)
	for name, text := range map[string]string{
		"a": demandingPod("a", "n1", "Running", 500, 256),
		"b": demandingPod("b", "n1", "Succeeded", 900, 900), // ended: it takes nothing
		"c": demandingPod("c", "n2", "Running", 900, 900),
		// An init container that needs more than the others, and a sidecar.
		"d": `{"metadata":{"namespace":"a","name":"d"},"spec":{"nodeName":"n1","overhead":{"cpu":"10m"},"containers":[{"resources":{"requests":{"cpu":"100m"}}}],
			"initContainers":[{"resources":{"requests":{"cpu":"200m"}}},{"restartPolicy":"Always","resources":{"requests":{"cpu":"50m"}}}]},"status":{"phase":"Running"}}`,
	} {
		item, err := newItem(pods, text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		store.put(item)
	}
	shown := store.usage.of(node)
	annotations := gjson.Get(shown.JSON(), "metadata.annotations")
	for name, want := range map[string]string{
		`node\.kubesphere\.io/cpu-requests`: "710m", `node\.kubesphere\.io/cpu-requests-fraction`: "35%",
		`node\.kubesphere\.io/cpu-limits`: "1", `node\.kubesphere\.io/cpu-limits-fraction`: "50%",
		`node\.kubesphere\.io/memory-requests`: "256Mi", `node\.kubesphere\.io/memory-requests-fraction`: "25%",
		`node\.kubesphere\.io/memory-limits`: "0", `node\.kubesphere\.io/memory-limits-fraction`: "0%",
		"kept": "yes", `with\.dots/and"quotes`: "x",
	} {
		if got := annotations.Get(name).String(); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if store.usage.of(node) != shown {
		t.Error("an unchanged node is written again")
	}
	if gjson.Get(node.JSON(), `metadata.annotations.node\.kubesphere\.io/cpu-requests`).Exists() {
		t.Error("the cached node was changed")
	}
	empty, err := newItem(nodes, `{"metadata":{"name":"n9"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if got := gjson.Get(store.usage.of(empty).JSON(), `metadata.annotations.node\.kubesphere\.io/cpu-limits-fraction`).String(); got != "0%" {
		t.Errorf("a node without capacity: %q", got)
	}
}

// TestHugeDemands: the amounts of a pod with a large exponent took seconds of the one
// goroutine that fills the cache of pods, for each event.
func TestHugeDemands(t *testing.T) {
	kind := NewCatalog().Type("pods")
	for name, resources := range map[string]string{
		"an exponent":         `"requests":{"cpu":"1e100000000","memory":"1e100000000"},"limits":{"cpu":"1e100000000"}`,
		"digits and exponent": `"requests":{"cpu":"12345678901234567890e99999999","memory":"1"}`,
		"a small one":         `"requests":{"cpu":"1e-99999999"}`,
	} {
		began := time.Now()
		pod := mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a"},"spec":{"nodeName":"x","overhead":{"cpu":"1e100000000"},"containers":[{"resources":{%s}},{"resources":{"requests":{"cpu":"1"}}}]}}`, resources))
		node, asks := pod.demand()
		if took := time.Since(began); took > time.Second || node != "x" || asks.cpuRequests <= 0 || asks.cpuRequests > maxDemand || asks.cpuLimits > maxDemand {
			t.Errorf("%s: %v of %q in %s", name, asks, node, took)
		}
	}
}
