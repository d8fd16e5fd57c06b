package objects

import (
	"container/list"
	"sync"
)

// recent remembers the values that were asked for last. The zero value is ready for use.
type recent[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]*list.Element
	order  list.List // of *remembered[K, V], the last used first
}

type remembered[K comparable, V any] struct {
	key   K
	once  sync.Once
	value V
}

// get returns the value of a key, which is computed unless it is remembered, and
// forgets those beyond the maximum that were used longest ago.
func (r *recent[K, V]) get(key K, maximum int, compute func() V) V {
	r.mu.Lock()
	element, found := r.values[key]
	if found {
		r.order.MoveToFront(element)
	} else {
		if r.values == nil {
			r.values = make(map[K]*list.Element)
		}
		element = r.order.PushFront(&remembered[K, V]{key: key})
		r.values[key] = element
		if r.order.Len() > maximum {
			oldest := r.order.Back()
			r.order.Remove(oldest)
			delete(r.values, oldest.Value.(*remembered[K, V]).key)
		}
	}
	entry := element.Value.(*remembered[K, V])
	r.mu.Unlock()
	// Computed outside of the lock, by the first of those who ask for it.
	entry.once.Do(func() { entry.value = compute() })
	return entry.value
}

// has reports whether the value of a key is remembered, or being computed.
func (r *recent[K, V]) has(key K) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, found := r.values[key]
	return found
}

// forget gives back what is remembered.
func (r *recent[K, V]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.values = nil
	r.order.Init()
}
