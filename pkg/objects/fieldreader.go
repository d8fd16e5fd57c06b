package objects

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
	"k8s.io/apimachinery/pkg/fields"
)

// maxFieldDepth bounds how many keys of a path are followed together with those of other
// paths: each of them goes through what is below it once more.
const maxFieldDepth = 8

// fieldReader reads the values at several paths of an object.
type fieldReader struct {
	paths []string
	root  *fieldNode
	// single are the paths that are read one by one, as indexes of paths.
	single []int
}

// fieldNode is a part of an object that paths lead to.
type fieldNode struct {
	keys    map[string]*fieldNode
	indexes map[int][]*fieldNode // those of keys that are numbers, for arrays
	ends    []int                // the paths that end here, as indexes of paths
}

func newFieldReader(paths []string) *fieldReader {
	r := &fieldReader{paths: paths, root: &fieldNode{}}
	for n, path := range paths {
		keys := pathKeys(path)
		if keys == nil {
			r.single = append(r.single, n)
			continue
		}
		node := r.root
		for _, key := range keys {
			node = node.child(key)
		}
		node.ends = append(node.ends, n)
	}
	return r
}

// pathKeys are the keys of a path in gjson's syntax, nil for one that is read by gjson alone.
func pathKeys(path string) []string {
	var keys []string
	var key strings.Builder
	for n := 0; n < len(path); n++ {
		switch c := path[n]; {
		case c == '\\' && n+1 < len(path) && path[n+1] == '.':
			key.WriteByte('.')
			n++
		case c == '.':
			keys = append(keys, key.String())
			key.Reset()
		case c == '_' || c == '-' || c == '/' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			key.WriteByte(c)
		default:
			return nil
		}
	}
	keys = append(keys, key.String())
	if len(keys) > maxFieldDepth {
		return nil
	}
	for _, key := range keys {
		if key == "" {
			return nil
		}
	}
	return keys
}

func (n *fieldNode) child(key string) *fieldNode {
	if known := n.keys[key]; known != nil {
		return known
	}
	if n.keys == nil {
		n.keys, n.indexes = make(map[string]*fieldNode), make(map[int][]*fieldNode)
	}
	made := &fieldNode{}
	n.keys[key] = made
	if index, err := strconv.ParseUint(key, 10, 31); err == nil {
		n.indexes[int(index)] = append(n.indexes[int(index)], made)
	}
	return made
}

// read returns the values at the paths, "" where there is none. Each part of the object is
// gone through once for each key that leads to it, however many paths do.
func (r *fieldReader) read(object string) []string {
	values := make([]string, len(r.paths))
	for _, n := range r.single {
		values[n] = gjson.Get(object, r.paths[n]).String()
	}
	if r.root.keys != nil {
		r.root.read(gjson.Parse(object), values)
	}
	return values
}

func (n *fieldNode) read(value gjson.Result, values []string) {
	for _, path := range n.ends {
		values[path] = value.String()
	}
	switch {
	case len(n.keys) == 0:
	case value.IsObject():
		left := len(n.keys)
		value.ForEach(func(key, field gjson.Result) bool {
			if child := n.keys[key.Str]; child != nil {
				child.read(field, values)
				left--
			}
			return left > 0
		})
	case value.IsArray() && len(n.indexes) > 0:
		index, left := 0, len(n.indexes)
		value.ForEach(func(_, element gjson.Result) bool {
			if children := n.indexes[index]; children != nil {
				for _, child := range children {
					child.read(element, values)
				}
				left--
			}
			index++
			return left > 0
		})
	}
}

// fieldsTest compares the values at dotted paths of an object, as callers see it who may
// not read secrets: what a filter tells apart, it reveals. The value of an absent field is
// "", as in Kubernetes.
func fieldsTest(requirements fields.Requirements, remember *derivations) func(*Item) bool {
	var paths []string
	for _, requirement := range requirements {
		paths = append(paths, requirement.Field)
	}
	reader, key := newFieldReader(paths), "fields\x00"+strings.Join(paths, "\x00")
	matches := func(n int, value string) bool {
		return (value == requirements[n].Value) != (requirements[n].Operator == "!=")
	}
	return func(i *Item) bool {
		if !i.isLarge() { // the first that does not match is all that is read
			for n, path := range paths {
				if !matches(n, gjson.Get(i.Shown(false), path).String()) {
					return false
				}
			}
			return true
		}
		for n, value := range reader.valuesOf(i, key, remember) {
			if !matches(n, value) {
				return false
			}
		}
		return true
	}
}

// valuesOf are the values of an object, which are remembered unless remember is nil.
func (r *fieldReader) valuesOf(i *Item, key string, remember *derivations) []string {
	if remember == nil {
		return r.read(i.Shown(false))
	}
	return derive(remember, i, key, func() ([]string, int) {
		values, size := r.read(i.Shown(false)), 0
		for _, value := range values {
			size += len(value)
		}
		return values, size
	})
}
