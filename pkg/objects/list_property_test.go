package objects

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// Few values per field, so that objects collide in everything but their key:
// ties are where orders and pages go wrong.
var (
	anyNamespace = rapid.SampledFrom([]string{"a", "ab", "b", "kube-system"})
	anyName      = rapid.StringMatching(`web(-[ab])?(-[ab0-2]{1,2})?`)
	anyTime      = rapid.SampledFrom([]int64{0, 1700000000, 1700000001, 1800000000})
	anyPhase     = rapid.SampledFrom([]string{"Running", "Pending", "Succeeded", "Failed"})
	anyNode      = rapid.SampledFrom([]string{"", "node-1", "node-2"})
	anyKind      = rapid.SampledFrom([]string{"ReplicaSet", "Job"})
	anyUID       = rapid.SampledFrom([]string{"u1", "u2"})
	anyValue     = rapid.SampledFrom([]string{"", "1", "2"})
	anyLabels    = rapid.MapOf(rapid.SampledFrom([]string{"app", "tier", "example.com/zone"}), anyValue)
)

// statuses are what the status column has to say of the phases above.
var statuses = map[string]string{"Running": "Running", "Pending": "Waiting", "Succeeded": "Completed", "Failed": "Error"}

func anySample(t *rapid.T) sample {
	s := sample{
		namespace: anyNamespace.Draw(t, "namespace"), name: anyName.Draw(t, "name"),
		uid: anyUID.Draw(t, "uid"), version: strconv.Itoa(rapid.IntRange(1, 1000).Draw(t, "version")),
		created: anyTime.Draw(t, "created"), started: anyTime.Draw(t, "started"),
		labels: anyLabels.Draw(t, "labels"), annotations: anyLabels.Draw(t, "annotations"),
		phase: anyPhase.Draw(t, "phase"), node: anyNode.Draw(t, "node"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "owners") {
		s.owners = append(s.owners, owner{Kind: anyKind.Draw(t, "kind"), UID: anyUID.Draw(t, "uid of owner")})
	}
	return s
}

// condition is a filter of a query with its meaning, told a second time.
type condition struct {
	key, value string
	holds      func(s sample) bool
}

func anyCondition(t *rapid.T) condition {
	key := rapid.SampledFrom([]string{
		"name", "names", "namespace", "uid", "label", "annotation", "labelSelector", "fieldSelector", "ownerKind", "ownerReference",
		"status", "phase", "nodeName",
	}).Draw(t, "filter")
	of := func(value string, holds func(s sample) bool) condition { return condition{key, value, holds} }
	switch key {
	case "name":
		part := rapid.SampledFrom([]string{"", "web", "-a", "b", "W"}).Draw(t, "part")
		return of(part, func(s sample) bool { return strings.Contains(s.name, part) })
	case "names":
		one, other := anyName.Draw(t, "one"), anyName.Draw(t, "other")
		return of(one+","+other, func(s sample) bool { return s.name == one || s.name == other })
	case "namespace":
		wanted := anyNamespace.Draw(t, "wanted")
		return of(wanted, func(s sample) bool { return s.namespace == wanted })
	case "uid":
		wanted := anyUID.Draw(t, "wanted")
		return of(wanted, func(s sample) bool { return s.uid == wanted })
	case "label", "annotation", "labelSelector":
		text := rapid.SampledFrom([]string{"app", "!app", "app=1", "tier!=2", "app in (1,2)", "app=1,tier=2", "example.com/zone notin (1)"}).Draw(t, "selector")
		selector, err := labels.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return of(text, func(s sample) bool {
			if key == "annotation" {
				return selector.Matches(labels.Set(s.annotations))
			}
			return selector.Matches(labels.Set(s.labels))
		})
	case "fieldSelector":
		wanted, negated := anyNode.Draw(t, "wanted"), rapid.Bool().Draw(t, "negated")
		operator := map[bool]string{false: "=", true: "!="}[negated]
		return of("spec.nodeName"+operator+wanted, func(s sample) bool { return (s.node == wanted) != negated })
	case "ownerKind":
		wanted := anyKind.Draw(t, "wanted")
		return of(wanted, func(s sample) bool {
			return slices.ContainsFunc(s.owners, func(o owner) bool { return o.Kind == wanted })
		})
	case "ownerReference":
		wanted := anyUID.Draw(t, "wanted")
		return of(wanted, func(s sample) bool {
			return slices.ContainsFunc(s.owners, func(o owner) bool { return o.UID == wanted })
		})
	case "status":
		wanted := rapid.SampledFrom([]string{"running", "Waiting", "COMPLETED", "error", ""}).Draw(t, "wanted")
		return of(wanted, func(s sample) bool { return strings.EqualFold(statuses[s.phase], wanted) })
	case "phase":
		wanted := anyPhase.Draw(t, "wanted")
		return of(strings.ToLower(wanted), func(s sample) bool { return s.phase == wanted })
	}
	wanted := anyNode.Draw(t, "wanted")
	return of(wanted, func(s sample) bool { return s.node == wanted })
}

// before is the ascending order of a sort key, told a second time.
func before(sortBy string) func(a, b sample) int {
	if strings.ContainsAny(sortBy, ",-") { // several keys, each with its direction
		return func(a, b sample) int {
			for key := range strings.SplitSeq(sortBy, ",") {
				name, descending := strings.CutPrefix(key, "-")
				c := cmp.Compare(valueOf(a, name), valueOf(b, name))
				if descending {
					c = -c
				}
				if c != 0 {
					return c
				}
			}
			return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
		}
	}
	return func(a, b sample) int {
		byKey := cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
		switch sortBy {
		case "name":
			return cmp.Or(cmp.Compare(a.name, b.name), byKey)
		case "status":
			return cmp.Or(cmp.Compare(statuses[a.phase], statuses[b.phase]), byKey)
		case "nodeName":
			return cmp.Or(cmp.Compare(a.node, b.node), byKey)
		case "startTime":
			return cmp.Or(cmp.Compare(a.started, b.started), byKey)
		}
		return cmp.Or(cmp.Compare(a.created, b.created), byKey)
	}
}

// valueOf is what a sample has under a sort key, as a text that orders.
func valueOf(s sample, key string) string {
	switch key {
	case "name":
		return s.name
	case "status":
		return statuses[s.phase]
	case "nodeName":
		return s.node
	}
	return fmt.Sprintf("%020d", s.created)
}

// naive answers a query from a plain slice.
func naive(all map[string]sample, namespace string, conditions []condition, sortBy string, ascending bool) []string {
	var found []sample
	for _, s := range all {
		matches := namespace == "" || s.namespace == namespace
		for _, c := range conditions {
			matches = matches && c.holds(s)
		}
		if matches {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, before(sortBy))
	if !ascending {
		slices.Reverse(found)
	}
	keys := make([]string, len(found))
	for n := range found {
		keys[n] = found[n].key()
	}
	return keys
}

func keysOf(items []*Item) []string {
	keys := make([]string, len(items))
	for n, item := range items {
		keys[n] = item.Namespace() + "/" + item.Name()
	}
	return keys
}

// TestListEqualsNaive: any page of any list is the same part of what filtering
// and sorting a slice gives, all pages together are the whole list, and the
// total counts it.
func TestListEqualsNaive(t *testing.T) {
	kind := NewCatalog().Type("pods")
	rapid.Check(t, func(t *rapid.T) {
		store, model := newStore(kind), map[string]sample{}
		for range rapid.IntRange(0, 40).Draw(t, "writes") {
			s := anySample(t)
			if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
				store.remove(item(kind, s.json()))
				delete(model, s.key())
				continue
			}
			store.put(item(kind, s.json()))
			model[s.key()] = s
		}
		for range rapid.IntRange(1, 5).Draw(t, "queries") {
			values := url.Values{}
			conditions := make(map[string]condition) // a parameter given twice counts once
			for range rapid.IntRange(0, 3).Draw(t, "filters") {
				c := anyCondition(t)
				conditions[c.key] = c
				values.Set(c.key, c.value)
			}
			namespace := rapid.SampledFrom([]string{"", "a", "b", "nowhere"}).Draw(t, "namespace of the list")
			sortBy := rapid.SampledFrom([]string{"", "name", "creationTimestamp", "createTime", "status", "nodeName", "startTime", "unknown", "-status,name", "nodeName,-createTime", "status,-nodeName,createTime"}).Draw(t, "sortBy")
			ascending := rapid.Bool().Draw(t, "ascending")
			values.Set(query.SortBy, sortBy)
			if strings.Contains(sortBy, ",") {
				ascending = true
			} else {
				values.Set(query.Ascending, strconv.FormatBool(ascending))
			}
			all := make([]condition, 0, len(conditions))
			for _, c := range conditions {
				all = append(all, c)
			}
			want := naive(model, namespace, all, sortBy, ascending)

			limit := rapid.IntRange(1, 12).Draw(t, "limit")
			var together []string
			for page := 1; page <= len(want)/limit+2; page++ {
				values.Set(query.Limit, strconv.Itoa(limit))
				values.Set(query.Page, strconv.Itoa(page))
				got := listed(t, store, namespace, values)
				if got.Total != len(want) {
					t.Fatalf("%v: total is %d, want %d", values, got.Total, len(want))
				}
				first, last := min((page-1)*limit, len(want)), min(page*limit, len(want))
				if keys := keysOf(got.Items); !slices.Equal(keys, want[first:last]) {
					t.Fatalf("%v: page is %v, want %v", values, keys, want[first:last])
				}
				together = append(together, keysOf(got.Items)...)
			}
			if !slices.Equal(together, want) {
				t.Fatalf("%v: all pages are %v, want %v", values, together, want)
			}
			values.Set(query.Page, "1")
			for limit, length := range map[string]int{"-1": len(want), "0": 0} {
				values.Set(query.Limit, limit)
				if got := listed(t, store, namespace, values); got.Total != len(want) || len(got.Items) != length {
					t.Fatalf("%v: %d of %d, want %d of %d", values, len(got.Items), got.Total, length, len(want))
				}
			}
		}
	})
}

func listed(t *rapid.T, store *Store, namespace string, values url.Values) Page {
	parameters, err := request.ParseParameters(values.Encode())
	if err != nil {
		t.Fatal(err)
	}
	q, ignored, err := query.Parse(parameters, store.kind.Filters)
	if err != nil || len(ignored) > 0 {
		t.Fatalf("%v: %v, ignored %v", values, err, ignored)
	}
	page, err := store.Snapshot().List(t.Context(), namespace, &q)
	if err != nil {
		t.Fatal(err)
	}
	return page
}
