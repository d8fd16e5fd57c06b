package objects

import (
	"context"
	"strconv"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// counts says how many objects of a store have a key, such as the claim a pod
// mounts. It is kept as objects come, change and go.
type counts struct {
	keys func(*Item) []string

	mu sync.Mutex
	of map[string]int
}

func newCounts(keys func(*Item) []string) *counts {
	return &counts{keys: keys, of: make(map[string]int)}
}

func (c *counts) change(old, item *Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(old, -1)
	c.add(item, 1)
}

func (c *counts) replace(items []*Item) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of = make(map[string]int)
	for _, item := range items {
		c.add(item, 1)
	}
}

func (c *counts) add(item *Item, by int) {
	if item == nil {
		return
	}
	for _, key := range c.keys(item) {
		if c.of[key] += by; c.of[key] == 0 {
			delete(c.of, key)
		}
	}
}

func (c *counts) count(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[key]
}

// claimKeys are the claims a pod mounts, with the namespace.
func claimKeys(pod *Item) []string {
	var keys []string
	pod.Field("spec.volumes.#.persistentVolumeClaim.claimName").ForEach(func(_, claim gjson.Result) bool {
		keys = append(keys, pod.Namespace()+"/"+claim.String())
		return true
	})
	return keys
}

// fieldKey is the text at a path, when there is one.
func fieldKey(path string) func(*Item) []string {
	return func(item *Item) []string {
		if text := item.Field(path).String(); text != "" {
			return []string{strings.Clone(text)} // it must not keep the object
		}
		return nil
	}
}

// annotator writes annotations that are derived from other types into objects.
type annotator struct {
	// from are the types the annotations are derived from.
	from []string
	// values are the annotations of an object. count says how many objects of
	// a type have a key.
	values func(item *Item, count func(resource, key string) int) map[string]string
}

// annotators are the types with such annotations, but for nodes, whose sums
// are more than counts.
func annotators() map[string]annotator {
	const prefix = "kubesphere.io/"
	return map[string]annotator{
		"persistentvolumeclaims": {
			from: []string{"pods", "volumesnapshotclasses"},
			values: func(claim *Item, count func(string, string) int) map[string]string {
				provisioner := claim.Field(`metadata.annotations.volume\.beta\.kubernetes\.io/storage-provisioner`).String()
				if provisioner == "" {
					provisioner = claim.Field(`metadata.annotations.volume\.kubernetes\.io/storage-provisioner`).String()
				}
				return map[string]string{
					prefix + "in-use":         strconv.FormatBool(count("pods", claim.Namespace()+"/"+claim.Name()) > 0),
					prefix + "allow-snapshot": strconv.FormatBool(provisioner != "" && count("volumesnapshotclasses", provisioner) > 0),
				}
			},
		},
		"storageclasses": {
			from: []string{"persistentvolumeclaims"},
			values: func(class *Item, count func(string, string) int) map[string]string {
				return map[string]string{prefix + "pvc-count": strconv.Itoa(count("persistentvolumeclaims", class.Name()))}
			},
		},
		"volumesnapshotclasses": {
			from: []string{"volumesnapshots"},
			values: func(class *Item, count func(string, string) int) map[string]string {
				return map[string]string{prefix + "snapshot-count": strconv.Itoa(count("volumesnapshots", class.Name()))}
			},
		},
	}
}

// Related reports whether objects of the type show what depends on others.
func (t *Type) Related() bool { return t.usage || t.annotator != nil }

// Annotate returns objects with the annotations that are derived from other
// types: what pods ask of their nodes, whether a claim is in use, how many
// claims a storage class has. Types without any are returned as they are. It
// waits for the other types to be read as View does; one the cluster does not
// have counts nothing.
func (c *Cache) Annotate(ctx context.Context, catalog *Catalog, kind *Type, items []*Item) ([]*Item, error) {
	if len(items) == 0 {
		return items, nil
	}
	annotate, err := c.Annotator(ctx, catalog, kind)
	if err != nil || annotate == nil {
		return items, err
	}
	result := make([]*Item, len(items))
	for n, item := range items {
		result[n] = annotate(item)
	}
	return result, nil
}

// Annotator returns what adds the derived annotations to an object of a type, nil
// for types without any. It waits as Annotate does.
func (c *Cache) Annotator(ctx context.Context, catalog *Catalog, kind *Type) (func(*Item) *Item, error) {
	if !kind.Related() {
		return nil, nil
	}
	stores := make(map[string]*Store)
	from := []string{"pods"}
	if kind.annotator != nil {
		from = kind.annotator.from
	}
	for _, resource := range from {
		view, err := c.View(ctx, catalog.Type(resource))
		switch {
		case err == nil:
			stores[resource] = view.store
		case apierrors.IsNotFound(err):
		default:
			return nil, err
		}
	}
	if kind.usage {
		return stores["pods"].usage.of, nil
	}
	count := func(resource, key string) int {
		if store := stores[resource]; store != nil {
			return store.counts.count(key)
		}
		return 0
	}
	return func(item *Item) *Item { return item.with(kind.annotator.values(item, count)) }, nil
}

// with returns the object with further annotations. Annotations that are there
// keep their values, but for those of the same name.
func (i *Item) with(annotations map[string]string) *Item {
	written := i.JSON()
	if !gjson.Get(written, "metadata.annotations").IsObject() {
		written, _ = sjson.Set(written, "metadata.annotations", map[string]string{})
	}
	for name, value := range annotations {
		path := "metadata.annotations." + strings.ReplaceAll(name, ".", `\.`)
		if changed, err := sjson.Set(written, path, value); err == nil {
			written = changed
		}
	}
	return i.as(written)
}
