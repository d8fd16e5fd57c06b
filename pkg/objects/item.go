package objects

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	"k8s.io/apimachinery/pkg/labels"
)

// Item is one object of Kubernetes. It never changes: an update of the object
// is a new Item. The garbage collector follows each pointer of each object that
// is kept, so that an item has as few as can be: one to its JSON, and one to the
// numbers that say where in it the texts are by which it is found and sorted.
type Item struct {
	text  string   // JSON, and after it what is asked for and not in it
	words []uint64 // the columns, of pods what they demand, the labels
	rare  *rare    // of few objects

	created                       int64 // Unix seconds
	namespace, name, uid, version part
	json                          uint32 // the length of the JSON
	labels                        uint32 // the first word of the labels
}

// rare is what most items do not have.
type rare struct {
	json   string // that of an object that was changed here; "" for the one of text
	masked string // what callers see who may not read secrets; "" when the same
}

// part is a text within the text of an item: from its upper half to its lower.
type part uint64

func span(from, length int) part { return part(from)<<32 | part(from+length) } //nolint:gosec // objects of Kubernetes are of a few MiB at most

func (i *Item) part(p part) string { return i.text[p>>32 : uint32(p)] } //nolint:gosec // the lower half

// pivot is an item that is where the one of this name is, to find it.
func pivot(namespace, name string) *Item {
	return &Item{text: namespace + name, namespace: span(0, len(namespace)), name: span(len(namespace), len(name))}
}

// column is what an item has in one of its type's columns.
func (i *Item) column(n int) Value {
	return Value{Number: int64(i.words[2*n]), Text: i.part(part(i.words[2*n+1]))} //nolint:gosec // as it was put there
}

// parts makes the text of an item.
type parts struct {
	json string
	last int // where the text was found that was asked for last
	more strings.Builder
}

// of returns where a text is. Most are somewhere in the JSON, and behind the one
// before, so that many labels are not looked for from the beginning each; others
// are added.
func (p *parts) of(text string) part {
	if text == "" {
		return 0
	}
	at := strings.Index(p.json[p.last:], text)
	if at >= 0 {
		at += p.last
	} else {
		at = strings.Index(p.json, text)
	}
	if at >= 0 {
		p.last = at
	} else {
		if at = strings.Index(p.more.String(), text); at < 0 {
			at = p.more.Len()
			_, _ = p.more.WriteString(text) // never fails
		}
		at += len(p.json)
	}
	return span(at, len(text))
}

// JSON is the object in compact JSON, with kind and apiVersion, without
// managed fields and without what its type never reveals.
func (i *Item) JSON() string {
	if i.rare != nil && i.rare.json != "" {
		return i.rare.json
	}
	return i.text[:i.json]
}

// Namespace is empty for cluster-scoped objects.
func (i *Item) Namespace() string { return i.part(i.namespace) }

// Name is the name of the object.
func (i *Item) Name() string { return i.part(i.name) }

// UID identifies the object among all that ever had its name.
func (i *Item) UID() string { return i.part(i.uid) }

// ResourceVersion is the version of the object Kubernetes gave it.
func (i *Item) ResourceVersion() string { return i.part(i.version) }

// Created is when Kubernetes made the object, to the second.
func (i *Item) Created() time.Time { return time.Unix(i.created, 0).UTC() }

// Labels are the labels of the object.
func (i *Item) Labels() labels.Labels { return (*labelled)(i) }

// Field returns the value at a path of the JSON, in gjson's syntax.
func (i *Item) Field(path string) gjson.Result { return gjson.Get(i.JSON(), path) }

// Shown is the JSON for a caller who may or may not see secrets.
func (i *Item) Shown(secrets bool) string {
	if i.rare != nil && i.rare.masked != "" && !secrets {
		return i.rare.masked
	}
	return i.JSON()
}

// shownField is the value at a path for callers who may not see secrets. Filters look at
// it whoever asks: what a filter tells apart, it reveals.
func (i *Item) shownField(path string) gjson.Result { return gjson.Get(i.Shown(false), path) }

// as is the object with another JSON for callers who may read secrets.
func (i *Item) as(json string) *Item {
	written := *i
	written.rare = &rare{json: json}
	if i.rare != nil {
		written.rare.masked = i.rare.masked
	}
	return &written
}

// at returns the object as of a later version: what a watch tells of an object
// that went.
func (i *Item) at(version uint64) *Item {
	number := strconv.FormatUint(version, 10)
	set := func(json string) string {
		if changed, err := sjson.Set(json, "metadata.resourceVersion", number); err == nil {
			return changed
		}
		return json
	}
	written := i.as(set(i.JSON()))
	if written.rare.masked != "" {
		written.rare.masked = set(written.rare.masked)
	}
	text := parts{json: i.text}
	written.version = text.of(number)
	written.text += text.more.String()
	return written
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
	i := (*Item)(l)
	for words := i.words[i.labels:]; len(words) > 0; words = words[2:] {
		if i.part(part(words[0])) == key {
			return i.part(part(words[1])), true
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

func (i *Item) labelCount() int { return (len(i.words) - int(i.labels)) / 2 }

// eachLabel calls visit for each label.
func (i *Item) eachLabel(visit func(key, value string) bool) {
	for words := i.words[i.labels:]; len(words) > 0; words = words[2:] {
		if !visit(i.part(part(words[0])), i.part(part(words[1]))) {
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
	item, text := &Item{}, parts{json: clean}
	var labels []uint64
	gjson.Get(clean, "metadata").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "namespace":
			item.namespace = text.of(value.String())
		case "name":
			item.name = text.of(value.String())
		case "uid":
			item.uid = text.of(value.String())
		case "resourceVersion":
			item.version = text.of(value.String())
		case "creationTimestamp":
			item.created = seconds(value.String())
		case "labels":
			eachOf(value, func(key, value gjson.Result) bool {
				labels = append(labels, uint64(text.of(key.String())), uint64(text.of(value.String())))
				return true
			})
		}
		return true
	})
	masked := ""
	if t.mask != nil {
		masked = t.mask(clean)
	}
	object := gjson.Parse(cmp.Or(masked, clean)) // columns are filters, see shownField
	words := make([]uint64, 0, 2*len(t.Columns)+demandWords+len(labels))
	for _, column := range t.Columns {
		value := column.Derive(object)
		words = append(words, uint64(value.Number), uint64(text.of(value.Text))) //nolint:gosec // read as it is put here
	}
	if t.demands {
		node, amounts := podDemand(object)
		words = append(append(words, uint64(text.of(node))), amounts.words()...)
	}
	item.labels = uint32(len(words))                                  //nolint:gosec // as in span
	item.words = slices.Clone(append(words, labels...))               // exactly: there are many objects
	item.text = strings.Join([]string{clean, text.more.String()}, "") // a copy, even if there is nothing to add
	item.json = uint32(len(clean))                                    //nolint:gosec // as in span
	if masked != "" {
		item.rare = &rare{masked: masked}
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
