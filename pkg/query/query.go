package query

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/fields"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Parameter names of lists.
const (
	Page          = "page"
	Limit         = request.ParameterLimit
	SortBy        = "sortBy"
	Ascending     = "ascending"
	LabelSelector = request.ParameterLabelSelector
	FieldSelector = request.ParameterFieldSelector
	Pretty        = "pretty"
	// Label and Annotation are filters: selectors on what their names say.
	Label      = "label"
	Annotation = "annotation"
	// Text is searched for in names, namespaces, labels and images.
	Text = "q"
	// Fields are the paths of the fields that are answered.
	Fields = "fields"
	// ResourceVersion is a version of Kubernetes the answer must not be older
	// than, or must be of when ResourceVersionMatch says Exact.
	ResourceVersion      = request.ParameterResourceVersion
	ResourceVersionMatch = request.ParameterResourceVersionMatch
	// Stable asks for the state to be kept for further pages of it.
	Stable = "stable"
	// Watch asks for the changes instead of a list.
	Watch               = request.ParameterWatch
	AllowWatchBookmarks = request.ParameterAllowWatchBookmarks
	SendInitialEvents   = request.ParameterSendInitialEvents
	TimeoutSeconds      = request.ParameterTimeoutSeconds
	// Continue is the token of the page before, in lists in a form of Kubernetes.
	Continue = request.ParameterContinue
	// IncludeObject says how much of each object a table carries.
	IncludeObject = "includeObject"
)

// Values of ResourceVersionMatch, Kubernetes' own.
const (
	MatchExact        = "Exact"
	MatchNotOlderThan = "NotOlderThan"
)

// Unlimited is the limit that asks for the whole list.
const Unlimited = -1

// maxSelectorLength bounds the work a single request can ask for, in bytes.
const maxSelectorLength = 8 << 10

// maxFields bounds the terms of a field selector, each of which reads every
// object.
const maxFields = 16

// maxTerms bounds the terms of a label selector, each of which looks at the
// labels of every object.
const maxTerms = 128

// Filter keeps the objects for which the field Key has the value Value, in the
// way the type of the object defines for that key.
type Filter struct {
	Key, Value string
}

// Query is what a list is asked for.
type Query struct {
	// Page counts from 1; ignored when Limit is Unlimited.
	Page int
	// Limit is the number of objects of a page; 0 asks for the total only.
	Limit int
	// SortBy names the order, creationTimestamp by default. Several keys are
	// separated by commas; then, and when a key has the sign of descending
	// order ("-restarts,name"), each key has its own direction.
	SortBy string
	// Ascending reverses the default, descending order.
	Ascending bool
	// Continue is the token of the page before; empty for none. See ContinueAt.
	Continue string
	// Start is the index of the first object, instead of what Page says; 0 for none.
	Start int
	// Text are the words to search for, in lower case; each has to be found.
	Text []string
	// Projection is what is answered of each object; nil for all of it.
	Projection *Projection
	// ResourceVersion is 0 when any will do.
	ResourceVersion uint64
	// Exact asks for exactly that version.
	Exact bool
	// Stable asks for the state to be kept, so that further pages can be asked
	// for by its version.
	Stable bool
	// Watch is what is asked of a watch; nil for a list.
	Watch *Watched
	// Filters are sorted by key and all have to match.
	Filters []Filter
	// Labels is nil when every object matches.
	Labels Selector
	// Fields is nil when every object matches.
	Fields fields.Selector
	// Pretty asks for indented JSON.
	Pretty bool
	// Raw is the encoded form of the parameters that select and order objects:
	// equal for equal lists, whatever the page.
	Raw string
}

// Watched are the parameters of a watch.
type Watched struct {
	// Bookmarks asks for events that tell the version and nothing else.
	Bookmarks bool
	// Initial asks for the present state first. Without a version to start
	// from it is sent in any case, as Kubernetes does.
	Initial bool
	// Resumed is true when there is a version to start from.
	Resumed bool
	// Timeout ends the watch; 0 when the client leaves it to the server.
	Timeout time.Duration
}

// Offset is the index of the first object of the page.
func (q *Query) Offset() int {
	if q.Start > 0 {
		return q.Start
	}
	if q.Limit == Unlimited {
		return 0
	}
	return (q.Page - 1) * q.Limit
}

// Parse reads a query from the parameters of a request. known says which filters
// the type has; the names of parameters that are neither filters nor understood
// here are returned, so that the client can be warned that they have no effect.
func Parse(p *request.Parameters, known func(key string) bool) (q Query, ignored []string, err error) {
	q = Query{Page: 1, Limit: Unlimited, SortBy: "creationTimestamp"}
	if err := q.parseWatch(p); err != nil {
		return Query{}, nil, err
	}
	for key := range p.All() {
		value := p.Get(key)
		switch key {
		case Page:
			q.Page, err = integer(key, value, 1)
		case Limit:
			q.Limit, err = integer(key, value, Unlimited)
		case SortBy:
			if value != "" {
				q.SortBy, err = sortKeys(value)
			}
		case Ascending:
			q.Ascending, err = request.ParseBool(key, value)
		case Pretty:
			q.Pretty, err = request.ParseBool(key, value)
		case Watch:
			if p.WatchIgnored {
				ignored = append(ignored, key)
			}
		case LabelSelector:
			q.Labels, err = ParseSelector(value)
		case FieldSelector:
			q.Fields, err = checkFields(p)
		case Text:
			q.Text, err = words(value)
		case Fields:
			q.Projection, err = ParseProjection(value)
		case Stable:
			q.Stable, err = request.ParseBool(key, value)
		case ResourceVersion:
			q.ResourceVersion, err = version(value)
		case Continue:
			q.Continue = value
		case ResourceVersionMatch, AllowWatchBookmarks, SendInitialEvents, TimeoutSeconds, IncludeObject:
		default:
			if known(key) {
				if key == Label || key == Annotation { // before a client is told that it has the answer
					_, err = ParseSelector(value)
				}
				q.Filters = append(q.Filters, Filter{key, value})
			} else {
				ignored = append(ignored, key)
			}
		}
		if err != nil {
			return Query{}, nil, err
		}
	}
	slices.SortFunc(q.Filters, func(a, b Filter) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(ignored)
	if q.Signed() {
		if p.Has(Ascending) {
			ignored = append(ignored, Ascending)
		}
		q.Ascending = true
		if key, descending := strings.CutPrefix(q.SortBy, "-"); descending && !strings.Contains(key, ",") {
			q.SortBy, q.Ascending = key, false // as it is asked for in the plain form
		}
	}
	q.Raw = q.encode(p)
	if q.Limit > 0 && q.Page > (1<<53)/q.Limit {
		return Query{}, nil, status.BadRequest("page %d is out of range", q.Page)
	}
	return q, ignored, nil
}

// ParseObject reads the parameters of a request for one object: those that say how
// it is shown. It fails with status 400 when they are malformed.
func ParseObject(r *http.Request) (Query, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return Query{}, err
	}
	q := Query{}
	if parameters.Has(Pretty) {
		if q.Pretty, err = request.ParseBool(Pretty, parameters.Get(Pretty)); err != nil {
			return Query{}, err
		}
	}
	q.Projection, err = ParseProjection(parameters.Get(Fields))
	return q, err
}

// encode puts the length before each value, so that no value can look like
// the next one.
func (q *Query) encode(p *request.Parameters) string {
	var b strings.Builder
	add := func(value string) {
		b.WriteString(strconv.Itoa(len(value)))
		b.WriteByte(':')
		b.WriteString(value)
	}
	add(q.SortBy)
	add(strconv.FormatBool(q.Ascending))
	add(p.LabelSelector)
	add(p.FieldSelector)
	add(strings.Join(q.Text, " "))
	for _, f := range q.Filters {
		add(f.Key)
		add(f.Value)
	}
	return b.String()
}

// Signed reports whether each sort key has its own direction.
func (q *Query) Signed() bool {
	return strings.HasPrefix(q.SortBy, "-") || strings.Contains(q.SortBy, ",")
}

// maxSortKeys bounds the work of comparing two objects.
const maxSortKeys = 4

// sortKeys checks the keys of an order.
func sortKeys(value string) (string, error) {
	keys := strings.Split(value, ",")
	if len(keys) > maxSortKeys {
		return "", status.BadRequest("%s has more than %d keys", SortBy, maxSortKeys)
	}
	for n, key := range keys {
		keys[n] = strings.TrimSpace(key)
		if strings.TrimPrefix(keys[n], "-") == "" {
			return "", status.BadRequest("invalid %s: %q is not a sort key", SortBy, key)
		}
	}
	return strings.Join(keys, ","), nil
}

// maxWords bounds the words of a search, each of which reads every object.
const maxWords = 8

func words(text string) ([]string, error) {
	if len(text) > maxSelectorLength {
		return nil, status.BadRequest("%s is longer than %d bytes", Text, maxSelectorLength)
	}
	found := strings.Fields(strings.ToLower(text))
	if len(found) > maxWords {
		return nil, status.BadRequest("%s has more than %d words", Text, maxWords)
	}
	return found, nil
}

func integer(key, value string, least int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil {
		return 0, status.BadRequest("%s must be a whole number, not %q", key, value)
	}
	if n < least {
		return 0, status.BadRequest("%s must be %d or more, not %d", key, least, n)
	}
	return n, nil
}

// checkFields returns the field selector if every object can be compared with it
// at a bounded cost.
func checkFields(p *request.Parameters) (fields.Selector, error) {
	switch {
	case len(p.FieldSelector) > maxSelectorLength:
		return nil, status.BadRequest("fieldSelector is longer than %d bytes", maxSelectorLength)
	case p.Fields == nil:
		return nil, nil
	}
	requirements := p.Fields.Requirements()
	if len(requirements) > maxFields {
		return nil, status.BadRequest("fieldSelector has more than %d terms", maxFields)
	}
	for _, requirement := range requirements {
		if strings.IndexFunc(requirement.Field, notInPath) >= 0 {
			return nil, status.BadRequest("invalid fieldSelector: %q is not the path of a field", requirement.Field)
		}
	}
	return p.Fields, nil
}

// notInPath reports characters that a path of a field does not have. To the
// list engine some of them are commands, each of which costs as much as the
// whole object.
func notInPath(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune(`._-/\`, c)
}
