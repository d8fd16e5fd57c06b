package objects

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/util/jsonpath"
)

// printer evaluates a column a CustomResourceDefinition describes.
type printer struct {
	// path is the column's path in gjson's syntax, empty when it needs more.
	path string
	// full is the column's JSONPath, with filters and wildcards.
	full *jsonpath.JSONPath
}

// plainPath are the JSONPaths that name one field.
var plainPath = regexp.MustCompile(`^(\.[a-zA-Z0-9_-]+|\.[a-zA-Z0-9_-]*(\\\.[a-zA-Z0-9_/-]+)+)+$`)

// newPrinter returns nil for a path Kubernetes would not print either, and for one that
// may cost more than a walk over the object, see isWalk.
func newPrinter(path string) *printer {
	if plainPath.MatchString(path) {
		return &printer{path: strings.TrimPrefix(path, ".")}
	}
	text := "{" + path + "}"
	parsed, err := jsonpath.Parse("column", text)
	if err != nil || len(parsed.Root.Nodes) != 1 || !isWalk(parsed.Root, maxPathNodes) {
		return nil
	}
	full := jsonpath.New("column").AllowMissingKeys(true)
	if err := full.Parse(text); err != nil {
		return nil
	}
	return &printer{full: full}
}

const (
	// maxColumns bounds how many columns of a definition are shown: each is evaluated for
	// each object that comes or changes.
	maxColumns = 64
	// maxPathNodes bounds the parts of a path.
	maxPathNodes = 64
)

// isWalk reports whether a part of a path goes to each value of an object once at most.
// A recursive descent or a union goes to some again, so that a few of them go to each a
// billion times.
func isWalk(node jsonpath.Node, nodes int) bool {
	switch n := node.(type) {
	case *jsonpath.ListNode:
		if n == nil {
			return true
		}
		if nodes -= len(n.Nodes); nodes < 0 {
			return false
		}
		return !slices.ContainsFunc(n.Nodes, func(inner jsonpath.Node) bool { return !isWalk(inner, nodes) })
	case *jsonpath.FilterNode:
		return isWalk(n.Left, nodes) && isWalk(n.Right, nodes)
	case *jsonpath.RecursiveNode, *jsonpath.UnionNode:
		return false
	}
	return true
}

// value is what the column shows of an object; it does not exist when the
// object does not have the field.
func (p *printer) value(o gjson.Result) gjson.Result {
	if p.full == nil {
		return o.Get(p.path)
	}
	var object any
	if err := json.Unmarshal([]byte(o.Raw), &object); err != nil {
		return gjson.Result{}
	}
	results, err := p.full.FindResults(object)
	if err != nil || len(results) == 0 || len(results[0]) == 0 {
		return gjson.Result{}
	}
	if len(results[0]) == 1 {
		encoded, err := json.Marshal(results[0][0].Interface())
		if err != nil {
			return gjson.Result{}
		}
		return gjson.ParseBytes(encoded)
	}
	var all bytes.Buffer
	if err := p.full.PrintResults(&all, results[0]); err != nil {
		return gjson.Result{}
	}
	return gjson.Result{Type: gjson.String, Str: all.String()}
}

// withColumns returns a type with the columns its definition describes, to
// print, to sort by and to filter by.
func (t *Type) withColumns(definitions []apiextensionsv1.CustomResourceColumnDefinition) *Type {
	described := *t
	if signature, err := json.Marshal(definitions); err == nil {
		described.described = string(signature)
	}
	described.Columns = slices.Clone(t.Columns)
	described.printed = make([]printed, 0, len(definitions)+1)
	aged := false
	for _, definition := range definitions[:min(len(definitions), maxColumns)] {
		p := newPrinter(definition.JSONPath)
		if p == nil {
			continue
		}
		if definition.JSONPath == ".metadata.creationTimestamp" {
			aged = true
		}
		described.printed = append(described.printed, printed{
			name: definition.Name, kind: definition.Type, format: definition.Format, description: definition.Description, wide: definition.Priority > 0,
			cell: p.cell(definition.Type),
		})
		// What every type has keeps its meaning.
		name := columnKey(definition.Name)
		if name == "" || described.Sorts(name) || described.Filters(name) {
			continue
		}
		described.Columns = append(described.Columns, p.column(name, definition.Type))
	}
	if !aged && len(definitions) == 0 {
		described.printed = append(described.printed, ageColumn())
	}
	return &described
}

// cell prints a value as kube-apiserver does.
func (p *printer) cell(kind string) func(gjson.Result, time.Time) any {
	return func(o gjson.Result, now time.Time) any {
		value := p.value(o)
		switch {
		case !value.Exists() || value.Type == gjson.Null:
			return nil
		case kind == "date":
			return age(value.String(), now)
		case kind == "integer" && value.Type == gjson.Number:
			return value.Int()
		case kind == "number" && value.Type == gjson.Number:
			return value.Float()
		case kind == "boolean" && value.IsBool():
			return value.Bool()
		case kind == "string":
			return value.String()
		}
		return nil
	}
}

// column sorts and filters by the value: numbers and times by their size,
// which is kept in a number that orders as they do, everything else as text.
func (p *printer) column(name, kind string) Column {
	c := Column{Name: name, Match: ignoringCase}
	switch kind {
	case "date":
		c.Match = nil
		c.Derive = func(o gjson.Result) Value { return Value{Number: seconds(p.value(o).String())} }
	case "integer", "number":
		c.Derive = func(o gjson.Result) Value {
			value := p.value(o)
			if value.Type != gjson.Number {
				return Value{Number: math.MinInt64}
			}
			return Value{Number: ordered(value.Float()), Text: value.Raw}
		}
	default:
		c.Derive = func(o gjson.Result) Value { return Value{Text: p.value(o).String()} }
	}
	return c
}

// ordered maps numbers to integers of the same order.
func ordered(f float64) int64 {
	bits := int64(math.Float64bits(f)) //nolint:gosec // the bits of it
	if bits < 0 {
		return math.MinInt64 - bits
	}
	return bits
}

// columnKey is the name of a column as a query parameter: "Last Schedule" is
// lastSchedule.
func columnKey(name string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) }) {
		first, size := utf8.DecodeRuneInString(word)
		switch {
		case b.Len() > 0:
			word = string(unicode.ToUpper(first)) + word[size:]
		case strings.ToUpper(word) == word:
			word = strings.ToLower(word) // READY, CPU
		default:
			word = string(unicode.ToLower(first)) + word[size:]
		}
		b.WriteString(word)
	}
	return b.String()
}
