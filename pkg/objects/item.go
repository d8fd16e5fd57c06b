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
// is a new Item. All its strings share the memory of its JSON.
type Item struct {
	json      string
	masked    string // what callers see who may not read secrets; "" when the same
	namespace string
	name      string
	uid       string
	version   string
	created   int64 // Unix seconds
	labels    labelPairs
	columns   []Value // as Type.Columns
	demand    *demand // of pods only
}

// JSON is the object in compact JSON, with kind and apiVersion, without
// managed fields and without what its type never reveals.
func (i *Item) JSON() string { return i.json }

// Namespace is empty for cluster-scoped objects.
func (i *Item) Namespace() string { return i.namespace }

// Name is the name of the object.
func (i *Item) Name() string { return i.name }

// UID identifies the object among all that ever had its name.
func (i *Item) UID() string { return i.uid }

// ResourceVersion is the version of the object Kubernetes gave it.
func (i *Item) ResourceVersion() string { return i.version }

// Labels are the labels of the object.
func (i *Item) Labels() labels.Labels { return i.labels }

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
	written.version = strconv.FormatUint(version, 10)
	if changed, err := sjson.Set(i.json, "metadata.resourceVersion", written.version); err == nil {
		written.json = changed
	}
	if i.masked != "" {
		if changed, err := sjson.Set(i.masked, "metadata.resourceVersion", written.version); err == nil {
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

// labelPairs are keys and values in turn, in the order of the object. Objects
// have few labels, so that a walk beats a map in time and memory.
type labelPairs []string

func (p labelPairs) Lookup(key string) (value string, exists bool) {
	for n := 0; n < len(p); n += 2 {
		if p[n] == key {
			return p[n+1], true
		}
	}
	return "", false
}

func (p labelPairs) Has(key string) bool {
	_, found := p.Lookup(key)
	return found
}

func (p labelPairs) Get(key string) string {
	value, _ := p.Lookup(key)
	return value
}

// newItem makes an item of an object in JSON as Kubernetes sent it. The
// text is copied, so that an item does not keep the list alive it came with.
func newItem(t *Type, object string) (*Item, error) {
	clean := withKind(t, object)
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
	item := &Item{json: strings.Clone(clean)}
	gjson.Get(item.json, "metadata").ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "namespace":
			item.namespace = value.String()
		case "name":
			item.name = value.String()
		case "uid":
			item.uid = value.String()
		case "resourceVersion":
			item.version = value.String()
		case "creationTimestamp":
			item.created = seconds(value.String())
		case "labels":
			count := 0
			eachOf(value, func(_, _ gjson.Result) bool { count += 2; return true })
			item.labels = make(labelPairs, 0, count) // exactly: there are many objects
			eachOf(value, func(key, value gjson.Result) bool {
				item.labels = append(item.labels, key.String(), value.String())
				return true
			})
		}
		return true
	})
	if len(t.Columns) > 0 {
		object := gjson.Parse(item.json)
		item.columns = make([]Value, len(t.Columns))
		for n, column := range t.Columns {
			item.columns[n] = column.Derive(object)
		}
	}
	if t.demands {
		item.demand = podDemand(gjson.Parse(item.json))
	}
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
