package objects

import (
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
)

// test is one of the filters that an object has to match.
type test struct {
	matches func(*Item) bool
	// key tells a test that goes through the object from others, so that what it found of
	// a large object can be remembered; "" for a test that looks at little.
	key string
	// cost is how many times it goes through the object, and ofLabels through its labels.
	cost, ofLabels int
}

// remembering is the test with what it found remembered of large objects.
func (t test) remembering(found *derivations) func(*Item) bool {
	if t.key == "" {
		return t.matches
	}
	return func(i *Item) bool {
		if !i.isLarge() {
			return t.matches(i)
		}
		return derive(found, i, "test\x00"+t.key, func() (bool, int) { return t.matches(i), 0 })
	}
}

// tests are everything a query filters by but its fields.
func (t *Type) tests(q *query.Query) ([]test, error) {
	var tests []test
	for _, filter := range q.Filters {
		if _, found := t.related[filter.Key]; found {
			continue // see Cache.relate
		}
		made, err := t.filter(filter)
		if err != nil {
			return nil, err
		}
		tests = append(tests, made)
	}
	if len(q.Labels) > 0 {
		tests = append(tests, labelTest(q.Labels))
	}
	for _, word := range q.Text {
		tests = append(tests, test{matches: t.wordTest(word), key: "word\x00" + word, cost: 1})
	}
	return tests, nil
}

func labelTest(selector query.Selector) test {
	matches := func(i *Item) bool { return selector.Matches(i.Labels()) }
	return test{matches: matches, key: "labels\x00" + selector.String(), ofLabels: selector.Terms()}
}

// matcher returns the conjunction of everything a query filters by; nil when every object
// matches.
func (t *Type) matcher(q *query.Query) (func(*Item) bool, error) {
	tests, err := t.tests(q)
	if err != nil {
		return nil, err
	}
	var match func(*Item) bool
	for _, test := range tests {
		match = both(match, test.matches)
	}
	if q.Fields != nil && !q.Fields.Empty() {
		match = both(match, fieldsTest(q.Fields.Requirements(), nil))
	}
	return match, nil
}

// Matcher says which objects a watch is of.
type Matcher struct {
	kind *Type
	// within is the namespace, "" for all.
	within string
	only   *Only
	// match is everything else; nil for no restriction.
	match func(*Item) bool
	// cost is how many times match goes through an object, and ofLabels through its labels.
	cost, ofLabels int
}

// Matcher returns what a selection filters by, for a watch. What it finds of large objects
// is remembered for other watches. Whoever watches in a form shows the objects of events in
// it.
func (t *Type) Matcher(selection Selection) (*Matcher, error) {
	reduced, err := t.reduce(selection)
	if err != nil {
		return nil, err
	}
	inForm := selection.Form != nil
	selection = reduced
	tests, err := t.tests(selection.Query)
	if err != nil {
		return nil, err
	}
	m := &Matcher{kind: t, within: selection.Namespace, only: selection.Only}
	for _, test := range tests {
		m.match = both(m.match, test.remembering(watched))
		m.cost, m.ofLabels = m.cost+test.cost, m.ofLabels+test.ofLabels
	}
	if q := selection.Query; q.Fields != nil && !q.Fields.Empty() {
		m.match = both(m.match, fieldsTest(q.Fields.Requirements(), watched))
		m.cost += len(q.Fields.Requirements())
	}
	switch {
	case selection.Match == nil:
	case inForm: // of which the key does not tell the query
		m.match = both(m.match, selection.Match)
		m.cost += 1 + selection.terms
	default:
		m.match = both(m.match, test{matches: selection.Match, key: "match\x00" + selection.Key}.remembering(watched))
		m.cost++
	}
	return m, nil
}

// Matches reports whether a watch is of an object.
func (m *Matcher) Matches(item *Item) bool {
	return m.places(item) && (m.match == nil || m.match(item))
}

// places reports whether an object is where the watch is of objects, and visible.
func (m *Matcher) places(item *Item) bool {
	return (m.within == "" || item.Namespace() == m.within) && (m.only == nil || m.only.contains(m.kind, item))
}

// work is what it takes to find out whether items match, in bytes.
func (m *Matcher) work(items ...*Item) int {
	work := 0
	for _, item := range items {
		if item != nil && m.places(item) {
			work += m.cost*len(item.text) + m.ofLabels*labelBytes*item.labelCount()
		}
	}
	return work
}
