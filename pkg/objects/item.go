package objects

import (
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"k8s.io/apimachinery/pkg/labels"
)

// Item is one object of Kubernetes. It never changes: an update of the object
// is a new Item. All its texts share the memory of its JSON, and most are kept
// as parts of it: the garbage collector follows each pointer of each object.
type Item struct {
	json      string
	masked    string // what callers see who may not read secrets; "" when the same
	text      string // what the parts below are of: JSON, and what is not in it
	namespace string
	name      string
	uid       part
	version   part
	created   int64   // Unix seconds
	labels    []part  // keys and values in turn, in the order of the object
	columns   []cell  // as Type.Columns
	demand    *demand // of pods only
}

// part is a text within the text of an item.
type part struct{ from, to uint32 }

// cell is a Value within an item.
type cell struct {
	number int64
	text   part
}

func (i *Item) part(p part) string { return i.text[p.from:p.to] }

// column is what an item has in one of its type's columns.
func (i *Item) column(n int) Value {
	return Value{Number: i.columns[n].number, Text: i.part(i.columns[n].text)}
}

// parts makes the text of an item.
type parts struct {
	json string
	more strings.Builder
}

// of returns where a text is. Most are somewhere in the JSON; others are added.
func (p *parts) of(text string) part {
	at := strings.Index(p.json, text)
	if at < 0 {
		if at = strings.Index(p.more.String(), text); at < 0 {
			at = p.more.Len()
			_, _ = p.more.WriteString(text) // never fails
		}
		at += len(p.json)
	}
	return part{uint32(at), uint32(at + len(text))} //nolint:gosec // objects of Kubernetes are of a few MiB at most
}

// JSON is the object in compact JSON, with kind and apiVersion, without
// managed fields and without what its type never reveals.
func (i *Item) JSON() string { return i.json }

// Namespace is empty for cluster-scoped objects.
func (i *Item) Namespace() string { return i.namespace }

// Name is the name of the object.
func (i *Item) Name() string { return i.name }

// UID identifies the object among all that ever had its name.
func (i *Item) UID() string { return i.part(i.uid) }

// ResourceVersion is the version of the object Kubernetes gave it.
func (i *Item) ResourceVersion() string { return i.part(i.version) }

// Labels are the labels of the object.
func (i *Item) Labels() labels.Labels { return (*labelled)(i) }

// Field returns the value at a path of the JSON, in gjson's syntax.
func (i *Item) Field(path string) gjson.Result { return gjson.Get(i.json, path) }

// Shown is the JSON for a caller who may or may not see secrets.
func (i *Item) Shown(secrets bool) string {
	if i.masked != "" && !secrets {
		return i.masked
	}
	return i.json
}

// at returns the object as of a later version: what a watch tells of an object
// that went.
func (i *Item) at(version uint64) *Item {
	written := *i
	number := strconv.FormatUint(version, 10)
	p := parts{json: i.text}
	written.version = p.of(number)
	written.text = i.text + p.more.String()
	if changed, err := sjson.Set(i.json, "metadata.resourceVersion", number); err == nil {
		written.json = changed
	}
	if i.masked != "" {
		if changed, err := sjson.Set(i.masked, "metadata.resourceVersion", number); err == nil {
			written.masked = changed
		}
	}
	return &written
}

// Value is what a column holds: a number or a text. Columns are compared by
// number first, so that a type uses one of the two for a column.
type Value struct {
	Number int64
	Text   string
}

func (v Value) compare(w Value) int {
	switch {
	case v.Number < w.Number:
		return -1
	case v.Number > w.Number:
		return 1
	}
	return strings.Compare(v.Text, w.Text)
}

// labelled is an item as labels.Labels. Objects have few labels, so that a walk
// beats a map in time and memory.
type labelled Item

func (l *labelled) Lookup(key string) (value string, exists bool) {
	for n := 0; n < len(l.labels); n += 2 {
		if k := l.labels[n]; l.text[k.from:k.to] == key {
			v := l.labels[n+1]
			return l.text[v.from:v.to], true
		}
	}
	return "", false
}

func (l *labelled) Has(key string) bool {
	_, found := l.Lookup(key)
	return found
}

func (l *labelled) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

// eachLabel calls visit for each label.
func (i *Item) eachLabel(visit func(key, value string) bool) {
	for n := 0; n < len(i.labels); n += 2 {
		if !visit(i.part(i.labels[n]), i.part(i.labels[n+1])) {
			return
		}
	}
}

// newItem makes an item of an object in JSON as Kubernetes sent it. The
// text is copied, so that an item does not keep the list alive it came with.
func newItem(t *Type, given string) (*Item, error) {
	clean := withKind(t, given)
	for _, path := range t.remove {
		cleaner, err := sjson.Delete(clean, path)
		if err != nil {
			return nil, err
		}
		clean = cleaner
	}
	if t.clean != nil {
		clean = t.clean(clean)
	}
	item := &Item{}
	text := parts{json: clean}
	var namespace, name part
	gjson.Get(clean, "metadata").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "namespace":
			namespace = text.of(value.String())
		case "name":
			name = text.of(value.String())
		case "uid":
			item.uid = text.of(value.String())
		case "resourceVersion":
			item.version = text.of(value.String())
		case "creationTimestamp":
			item.created = seconds(value.String())
		case "labels":
			count := 0
			eachOf(value, func(_, _ gjson.Result) bool { count += 2; return true })
			item.labels = make([]part, 0, count) // exactly: there are many objects
			eachOf(value, func(key, value gjson.Result) bool {
				item.labels = append(item.labels, text.of(key.String()), text.of(value.String()))
				return true
			})
		}
		return true
	})
	object := gjson.Parse(clean)
	if len(t.Columns) > 0 {
		item.columns = make([]cell, len(t.Columns))
		for n, column := range t.Columns {
			value := column.Derive(object)
			item.columns[n] = cell{number: value.Number, text: text.of(value.Text)}
		}
	}
	if t.demands {
		item.demand = podDemand(object, &text)
	}
	item.text = strings.Join([]string{clean, text.more.String()}, "") // a copy, even if there is nothing to add
	item.json = item.text[:len(clean)]
	item.namespace, item.name = item.part(namespace), item.part(name)
	if t.mask != nil {
		item.masked = t.mask(item.json)
	}
	return item, nil
}

// eachOf calls visit for what an object or array holds, and not, as gjson
// does, once for a null.
func eachOf(list gjson.Result, visit func(key, value gjson.Result) bool) {
	if list.Type == gjson.JSON {
		list.ForEach(visit)
	}
}

// withKind adds kind and apiVersion, which kube-apiserver leaves out of the
// objects of a list, so that an object looks the same however it arrived.
func withKind(t *Type, object string) string {
	if gjson.Get(object, "kind").Exists() || len(object) < 2 {
		return object
	}
	var b strings.Builder
	b.Grow(len(object) + len(t.Kind) + 64)
	b.WriteString(`{"kind":`)
	b.WriteString(strconv.Quote(t.Kind))
	b.WriteString(`,"apiVersion":`)
	b.WriteString(strconv.Quote(t.GroupVersion().String()))
	if object[1] != '}' {
		b.WriteByte(',')
	}
	b.WriteString(object[1:])
	return b.String()
}

// seconds is a time in RFC 3339 as Unix seconds, 0 when there is none.
func seconds(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0
	}
	return at.Unix()
}
