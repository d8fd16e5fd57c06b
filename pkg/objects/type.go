package objects

import (
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// Type is what the engine has to know of a resource type.
type Type struct {
	schema.GroupVersionResource
	Kind       string
	Namespaced bool
	// Columns are derived when an object arrives and serve filters and orders.
	Columns []Column
	// remove are the paths that are never kept.
	remove []string
	// demands is true for pods, whose demands are added up per node.
	demands bool
	// usage is true for nodes, which show those sums.
	usage bool
	// keys are what objects are counted by; nil for nothing.
	keys func(*Item) []string
	// related are the filters that depend on objects of other types.
	related map[string]*relation
	// described identifies the columns of its definition.
	described string
	// printed are the columns of a table.
	printed []printed
	// annotator writes what is counted into objects; nil for nothing.
	annotator *annotator
	// clean takes out what is never kept but has no fixed path; nil for nothing.
	clean func(object string) string
	// mask returns what callers see who may not read secrets.
	mask func(object string) string
}

// Clean returns an object in JSON as it is shown here: without what is never
// kept and, unless the caller may see secrets, with them masked.
func (t *Type) Clean(object string, secrets bool) (string, error) {
	item, err := newItem(t, object)
	if err != nil {
		return "", err
	}
	return item.Shown(secrets), nil
}

// same reports whether two types with the same group, version and resource are
// the same: a definition may be deleted and installed anew with another scope.
func (t *Type) same(other *Type) bool {
	return t.Kind == other.Kind && t.Namespaced == other.Namespaced && t.described == other.described
}

// Column is a value derived from an object.
type Column struct {
	// Name is the query parameter and the sort key of the column.
	Name string
	// Derive computes the value once per version of the object.
	Derive func(object gjson.Result) Value
	// Match compares the value with a query parameter; nil when the column is
	// a sort key only.
	Match func(value Value, wanted string) bool
}

// neverKept is removed from every object: managed fields are bookkeeping of
// kube-apiserver and often the largest part of an object.
var neverKept = []string{"metadata.managedFields"}

// lastApplied holds a copy of the whole object, secrets included.
const lastApplied = `metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration`

// column is the index of the named column, -1 when there is none.
func (t *Type) column(name string) int {
	for n := range t.Columns {
		if t.Columns[n].Name == name {
			return n
		}
	}
	return -1
}

// Filters reports whether the query parameter filters objects of this type.
func (t *Type) Filters(key string) bool {
	if _, found := metadataFilters[key]; found || key == query.Label || key == query.Annotation || key == "names" {
		return true
	}
	if _, found := t.related[key]; found {
		return true
	}
	n := t.column(key)
	return n >= 0 && t.Columns[n].Match != nil
}

// metadataFilters are the filters every type has.
var metadataFilters = map[string]func(item *Item, wanted string) bool{
	"name":      func(i *Item, wanted string) bool { return strings.Contains(i.Name(), wanted) },
	"namespace": func(i *Item, wanted string) bool { return i.Namespace() == wanted },
	"uid":       func(i *Item, wanted string) bool { return i.UID() == wanted },
	"alias": func(i *Item, wanted string) bool {
		return strings.Contains(i.shownField(`metadata.annotations.kubesphere\.io/alias-name`).String(), wanted)
	},
	"ownerReference": func(i *Item, wanted string) bool {
		return anyEquals(i.shownField("metadata.ownerReferences.#.uid"), wanted)
	},
	"ownerKind": func(i *Item, wanted string) bool {
		return anyEquals(i.shownField("metadata.ownerReferences.#.kind"), wanted)
	},
}

func anyEquals(list gjson.Result, wanted string) bool {
	found := false
	list.ForEach(func(_, value gjson.Result) bool {
		found = value.String() == wanted
		return !found
	})
	return found
}

// FilterNames are the filters of the type beyond those all types have.
func (t *Type) FilterNames() []string {
	names := slices.Collect(maps.Keys(t.related))
	for n := range t.Columns {
		if t.Columns[n].Match != nil {
			names = append(names, t.Columns[n].Name)
		}
	}
	return names
}

// namePart takes the filter by a part of the name out of a query, "" when it
// has none: names are searched in a faster way than object by object.
func (t *Type) namePart(q *query.Query) (string, *query.Query) {
	n := slices.IndexFunc(q.Filters, func(f query.Filter) bool { return f.Key == "name" })
	if n < 0 || q.Filters[n].Value == "" || t.column("name") >= 0 {
		return "", q
	}
	rest := *q
	rest.Filters = slices.Delete(slices.Clone(q.Filters), n, n+1)
	return q.Filters[n].Value, &rest
}

// costly are the filters of metadataFilters that go through the whole object.
var costly = map[string]bool{"alias": true, "ownerReference": true, "ownerKind": true}

// filter returns what a filter of a query tests.
func (t *Type) filter(f query.Filter) (test, error) {
	switch f.Key {
	case query.Label, query.Annotation:
		selector, err := query.ParseSelector(f.Value)
		if err != nil {
			return test{}, err
		}
		if f.Key == query.Label {
			return labelTest(selector), nil
		}
		matches := func(i *Item) bool { return selector.Matches(annotations(i)) }
		return test{matches: matches, key: "annotation\x00" + f.Value, cost: 1 + selector.Terms()}, nil
	}
	if f.Key == "names" { // a set, since a URL has room for half a million
		wanted := make(map[string]bool)
		for name := range strings.SplitSeq(f.Value, ",") {
			wanted[name] = true
		}
		return test{matches: func(i *Item) bool { return wanted[i.Name()] }}, nil
	}
	// A type's own filter comes before the one all types have.
	if n := t.column(f.Key); n >= 0 && t.Columns[n].Match != nil {
		match := t.Columns[n].Match
		return test{matches: func(i *Item) bool { return match(i.column(n), f.Value) }}, nil
	}
	match := metadataFilters[f.Key]
	made := test{matches: func(i *Item) bool { return match(i, f.Value) }}
	if costly[f.Key] {
		made.key, made.cost = f.Key+"\x00"+f.Value, 1
	}
	return made, nil
}

// wordTest looks for a word in lower case in the name, namespace, labels and
// images of an object.
func (t *Type) wordTest(word string) func(*Item) bool {
	images := t.column(columnImages)
	contains := func(text string) bool { return strings.Contains(strings.ToLower(text), word) }
	return func(i *Item) bool {
		if contains(i.Name()) || contains(i.Namespace()) || images >= 0 && contains(i.column(images).Text) {
			return true
		}
		found := false
		i.eachLabel(func(key, value string) bool {
			// The text of a label is key=value, so that both can be in one word.
			found = contains(key) || contains(value) || strings.Contains(word, "=") && contains(key+"="+value)
			return !found
		})
		return found
	}
}

// annotationsOf are the annotations of an object, which items do not keep apart, as callers see
// it who may not read secrets. A map of them would cost more than the walks.
type annotationsOf struct{ list gjson.Result }

func annotations(i *Item) labels.Labels {
	return annotationsOf{i.shownField("metadata.annotations")}
}

// Lookup implements labels.Labels.
func (a annotationsOf) Lookup(wanted string) (value string, exists bool) {
	eachOf(a.list, func(key, found gjson.Result) bool {
		if exists = key.String() == wanted; exists {
			value = found.String()
		}
		return !exists
	})
	return value, exists
}

// Has implements labels.Labels.
func (a annotationsOf) Has(key string) bool {
	_, found := a.Lookup(key)
	return found
}

// Get implements labels.Labels.
func (a annotationsOf) Get(key string) string {
	value, _ := a.Lookup(key)
	return value
}
