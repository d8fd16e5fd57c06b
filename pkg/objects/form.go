package objects

import (
	"slices"
	"strings"

	"github.com/tidwall/sjson"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// Form is a reduced form of the objects of a type, for callers who may not see all of
// them. A selection in a form is what it is when no object has the hidden fields: what
// a filter or an order tells apart, it reveals.
type Form struct {
	name    string
	columns []string
	hidden  []string
}

// NewForm returns the form without the fields at some paths, in sjson's syntax. Every form
// shows the name, namespace, UID and creation time of an object. The name tells the form
// from others of the type; columns are those that objects are sorted by, which must not
// depend on hidden fields. All other columns are no sort keys in the form.
func NewForm(name string, columns []string, hidden ...string) *Form {
	return &Form{name: name, columns: columns, hidden: hidden}
}

// Of is an object in the form, or as it is when the form is nil.
func (f *Form) Of(kind *Type, item *Item) *Item {
	if f == nil {
		return item
	}
	shown := item.Shown(false)
	for _, path := range f.hidden {
		less, err := sjson.Delete(shown, path)
		if err != nil { // rather nothing than what is hidden
			shown = "{}"
			break
		}
		shown = less
	}
	reduced, err := newItem(kind, shown)
	if err != nil {
		words := make([]uint64, 2*len(kind.Columns)+demandWords)
		return &Item{words: words, labels: uint32(len(words))} //nolint:gosec // as in span
	}
	return reduced
}

// identifying are the filters by what every form shows.
var identifying = []string{"name", "names", "namespace", "uid"}

// split parts a query in the form into one about what every form shows, and one about
// all other fields.
func (f *Form) split(kind *Type, q *query.Query) (plain, fields *query.Query) {
	one, other := *q, query.Query{Labels: q.Labels, Text: q.Text, Fields: q.Fields}
	one.Labels, one.Text, one.Fields, one.Filters = nil, nil, nil, nil
	for _, filter := range q.Filters {
		if kind.related[filter.Key] != nil || kind.column(filter.Key) < 0 && slices.Contains(identifying, filter.Key) {
			one.Filters = append(one.Filters, filter)
		} else {
			other.Filters = append(other.Filters, filter)
		}
	}
	var keys []string
	for key := range strings.SplitSeq(q.SortBy, ",") {
		if name := strings.TrimPrefix(key, "-"); kind.column(name) < 0 || slices.Contains(f.columns, name) {
			keys = append(keys, key)
		}
	}
	if one.SortBy = strings.Join(keys, ","); one.SortBy == "" {
		one.SortBy = orderCreated
	}
	return &one, &other
}

// reducingTerms is what it takes to bring an object into a form, as terms that are looked
// for in it.
const reducingTerms = 8

// reduce makes a selection in a form one that selects the same of the stored objects.
func (t *Type) reduce(selection Selection) (Selection, error) {
	form := selection.Form
	if form == nil {
		return selection, nil
	}
	plain, fields := form.split(t, selection.Query)
	match, err := t.matcher(fields)
	if err != nil {
		return selection, err
	}
	if match != nil {
		selection.Match = both(selection.Match, func(item *Item) bool { return match(form.Of(t, item)) })
		inJSON, inLabels := t.terms(fields)
		selection.terms = inJSON + inLabels + reducingTerms
	}
	selection.Query, selection.Form = plain, nil
	selection.Key += "\x00form\x00" + form.name
	return selection, nil
}
