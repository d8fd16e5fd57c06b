package objects

import (
	"container/list"
	"sync"
)

// largeObject is the size from which what is derived from an object is remembered, in
// bytes: to derive it from a smaller one takes no longer than to find it again.
const largeObject = 16 << 10

// derivedBytes bounds what is remembered of objects, with the objects themselves.
const derivedBytes = 32 << 20

// watched is what watches derive from the objects of changes. Hundreds of watches ask for
// the same of each, one shortly after the other.
var watched = &derivations{limit: derivedBytes}

// derivations remember what was derived from the objects that were asked for last.
type derivations struct {
	limit int // in bytes

	mu      sync.Mutex
	objects map[*Item]*list.Element
	order   list.List // of *derivedOf, the last used first
	bytes   int
}

// derivedOf are the derivations of an object.
type derivedOf struct {
	item   *Item
	values map[string]*derivation
	bytes  int
}

type derivation struct {
	once  sync.Once
	value any
}

// derive returns what compute derives from an object, which is remembered by a key. It is
// computed once for all who ask for it at the same time. size is what the value takes
// beside the object, in bytes.
func derive[V any](d *derivations, item *Item, key string, compute func() (value V, size int)) V {
	of, found := d.enter(item, key)
	found.once.Do(func() {
		value, size := compute()
		found.value = value
		d.grow(of, size)
	})
	value, made := found.value.(V)
	if !made { // whoever was to compute it has panicked
		value, _ = compute()
	}
	return value
}

func (d *derivations) enter(item *Item, key string) (*derivedOf, *derivation) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.objects == nil {
		d.objects = make(map[*Item]*list.Element)
	}
	element := d.objects[item]
	if element == nil {
		element = d.order.PushFront(&derivedOf{item: item, values: make(map[string]*derivation)})
		d.objects[item] = element
		d.add(element.Value.(*derivedOf), len(item.text)) //nolint:forcetypeassert // as all of them
	}
	d.order.MoveToFront(element)
	of := element.Value.(*derivedOf) //nolint:forcetypeassert // as all of them
	found := of.values[key]
	if found == nil {
		const overhead = 128
		found = &derivation{}
		of.values[key] = found
		d.add(of, len(key)+overhead)
	}
	d.evict()
	return of, found
}

// grow counts the size of a value that was computed, unless its object is forgotten.
func (d *derivations) grow(of *derivedOf, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if element := d.objects[of.item]; element != nil && element.Value == of {
		d.add(of, size)
		d.evict()
	}
}

func (d *derivations) add(of *derivedOf, bytes int) {
	of.bytes += bytes
	d.bytes += bytes
}

// evict forgets the objects that were asked for the longest ago while all take too much.
func (d *derivations) evict() {
	for d.bytes > d.limit {
		oldest := d.order.Back()
		of := d.order.Remove(oldest).(*derivedOf) //nolint:forcetypeassert // as all of them
		delete(d.objects, of.item)
		d.bytes -= of.bytes
	}
}

// isLarge reports whether what is derived from an object is worth remembering.
func (i *Item) isLarge() bool { return len(i.text) >= largeObject }

// Text returns what render makes of the object. What is made of a large one is remembered
// by a key for a while, so that watches that show the same share it.
func (i *Item) Text(key string, render func() (string, error)) (string, error) {
	if !i.isLarge() {
		return render()
	}
	type rendered struct {
		text string
		err  error
	}
	made := derive(watched, i, "text\x00"+key, func() (rendered, int) {
		text, err := render()
		return rendered{text, err}, len(text)
	})
	return made.text, made.err
}
