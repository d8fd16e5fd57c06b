package reserved

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Lock returns the label by which any write of an object takes a right, and whether the
// object has one. The value of the label does not count.
func (r *Register) Lock(resource schema.GroupResource, object metav1.Object) (lock Field, locked bool) {
	for _, field := range r.orDefault().fields[resource] {
		if _, has := labelsOf(object)[field.key]; field.locks && has {
			return field, true
		}
	}
	return Field{}, false
}

// LockingLabels returns the labels that lock objects of a resource, see Lock; none for
// a resource whose objects are not locked.
func (r *Register) LockingLabels(resource schema.GroupResource) []string {
	var keys []string
	for _, field := range r.orDefault().fields[resource] {
		if field.locks {
			keys = append(keys, field.key)
		}
	}
	return keys
}
