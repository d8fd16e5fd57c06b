package objects

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestExcept: a list of all but some namespaces has no object of these, whatever
// it is filtered by and sorted by, and neither has a watch.
func TestExcept(t *testing.T) {
	kind := NewCatalog().Type("secrets")
	var all []string
	for _, namespace := range []string{"a", "b", "c"} {
		for n := range 3 {
			all = append(all, fmt.Sprintf(`{"metadata":{"namespace":%q,"name":"s-%d","uid":"%s-%d"},"type":"Opaque","data":{"key":"dmFsdWU="}}`, namespace, n, namespace, n))
		}
	}
	snapshot := NewSnapshot(kind, nil, all...)
	except := NewExcept([]string{"b", "none"})
	if except.Key() == NewOnly([]string{"b", "none"}).Key() || except.Key() != NewExcept([]string{"none", "b"}).Key() {
		t.Error("the key does not tell a restriction from others")
	}
	for name, test := range map[string]struct {
		parameters map[string][]string
		namespace  string
		want       int
	}{
		"all":             {nil, "", 6},
		"a page":          {map[string][]string{"limit": {"4"}, "page": {"2"}}, "", 6},
		"by name":         {map[string][]string{"name": {"s-1"}, "sortBy": {"name"}}, "", 2},
		"by a field":      {map[string][]string{"fieldSelector": {"metadata.namespace=b"}}, "", 0},
		"by a value":      {map[string][]string{"fieldSelector": {"data.key=" + fields.EscapeValue("dmFsdWU=")}}, "", 0}, // values of Secrets are not shown
		"of a namespace":  {nil, "c", 3},
		"of the left out": {nil, "b", 0},
	} {
		parameters, err := request.ParseParameters(url.Values(test.parameters).Encode())
		if err != nil {
			t.Fatal(name, err)
		}
		q, _, err := query.Parse(parameters, kind.Filters)
		if err != nil {
			t.Fatal(name, err)
		}
		selection := Selection{Namespace: test.namespace, Query: &q, Only: except}
		page, err := snapshot.Select(t.Context(), selection)
		if err != nil {
			t.Fatal(name, err)
		}
		if page.Total != test.want || slices.ContainsFunc(page.Items, func(i *Item) bool { return i.Namespace() == "b" }) {
			t.Errorf("%s: %d objects", name, page.Total)
		}
		match, err := kind.Matcher(selection)
		if err != nil {
			t.Fatal(name, err)
		}
		matching := 0
		snapshot.All(func(i *Item) bool {
			if match.Matches(i) {
				matching++
			}
			return true
		})
		if matching != test.want {
			t.Errorf("%s: a watch tells of %d", name, matching)
		}
	}
}
