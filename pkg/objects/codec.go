package objects

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/tidwall/gjson"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object carries an item through client-go's reflector, which wants to know
// the metadata that drives a watch and nothing else.
type object struct {
	metav1.ObjectMeta // ResourceVersion, Name, Namespace and, of bookmarks, annotations
	item              *Item
}

func (o *object) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (o *object) DeepCopyObject() runtime.Object   { return o } // never changed

// objectList is what a LIST decodes to.
type objectList struct {
	metav1.ListMeta
	Items []object
}

func (l *objectList) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }
func (l *objectList) DeepCopyObject() runtime.Object   { return l }

// codec decodes the answers of kube-apiserver straight into items of one type,
// without the typed or unstructured objects in between that cost several times
// the memory of their JSON. It implements runtime.ClientNegotiator.
type codec struct {
	kind *Type
}

var _ runtime.ClientNegotiator = codec{}

func (c codec) Encoder(string, map[string]string) (runtime.Encoder, error) { return c, nil }
func (c codec) Decoder(string, map[string]string) (runtime.Decoder, error) { return c, nil }
func (c codec) StreamDecoder(string, map[string]string) (runtime.Decoder, runtime.Serializer, runtime.Framer, error) {
	return c, c, framer{}, nil
}

func (c codec) Identifier() runtime.Identifier { return "items" }

func (c codec) Encode(runtime.Object, io.Writer) error {
	return fmt.Errorf("the list engine only reads")
}

// Decode reads a list, an object of a watch event, a status or the frame of a
// watch event.
func (c codec) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	switch target := into.(type) {
	case *metav1.WatchEvent:
		event := gjson.ParseBytes(data) // the framer has found it valid
		target.Type, target.Object.Raw = event.Get("type").String(), []byte(event.Get("object").Raw)
		return target, defaults, nil
	case *metav1.Status:
		return target, defaults, json.Unmarshal(data, target)
	case *objectList:
		return target, defaults, c.decodeList(data, target)
	}
	text := string(data)
	head := gjson.GetMany(text, "kind", "apiVersion")
	if head[0].Str == "Status" && head[1].Str == "v1" {
		result := &metav1.Status{}
		return result, defaults, json.Unmarshal(data, result)
	}
	decoded, err := c.decodeObject(text)
	if err != nil {
		return nil, defaults, err
	}
	return &decoded, defaults, nil
}

func (c codec) decodeList(data []byte, into *objectList) error {
	text := string(data)
	if !gjson.Valid(text) {
		return fmt.Errorf("the list of %s is not valid JSON", c.kind.Resource)
	}
	metadata := gjson.Get(text, "metadata")
	into.ResourceVersion = metadata.Get("resourceVersion").String()
	into.Continue = metadata.Get("continue").String()
	var err error
	eachOf(gjson.Get(text, "items"), func(_, value gjson.Result) bool {
		var decoded object
		decoded, err = c.decodeObject(value.Raw)
		into.Items = append(into.Items, decoded)
		return err == nil
	})
	return err
}

func (c codec) decodeObject(text string) (object, error) {
	item, err := newItem(c.kind, text)
	if err != nil {
		return object{}, fmt.Errorf("reading %s: %w", c.kind.Resource, err)
	}
	result := object{item: item}
	result.Name, result.Namespace, result.ResourceVersion = item.Name(), item.Namespace(), item.ResourceVersion()
	// A bookmark that ends the initial list of a watch says so in an annotation.
	if end := item.Field(`metadata.annotations.k8s\.io/initial-events-end`); end.Exists() {
		result.Annotations = map[string]string{metav1.InitialEventsAnnotationKey: end.String()}
	}
	return result, nil
}

// sink is the store as the reflector sees it.
type sink struct {
	store  *Store
	synced func()
}

func (s sink) Add(value any) error {
	s.store.put(value.(*object).item)
	return nil
}

func (s sink) Update(value any) error { return s.Add(value) }

func (s sink) Delete(value any) error {
	s.store.remove(value.(*object).item)
	return nil
}

func (s sink) Replace(values []any, version string) error {
	items := make([]*Item, len(values))
	for n, value := range values {
		items[n] = value.(*object).item
	}
	s.store.replace(items, number(version))
	s.synced()
	return nil
}

// Bookmark implements cache.ReflectorBookmarkStore.
func (s sink) Bookmark(version string) error {
	s.store.advanced(number(version))
	return nil
}

func (s sink) Resync() error { return nil }
