package jsonpatch

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pointer is a JSON pointer (RFC 6901), segment by segment.
type pointer []string

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

func parsePointer(text string) (pointer, error) {
	if text == "" {
		return nil, nil
	}
	if text[0] != '/' {
		return nil, fmt.Errorf("%w: %q is not a JSON pointer", ErrMalformed, text)
	}
	if strings.Count(text, "/") > MaxDepth {
		return nil, tooLarge("a path has more than %d segments", MaxDepth)
	}
	segments := strings.Split(text[1:], "/")
	for n, segment := range segments {
		segments[n] = unescape.Replace(segment)
	}
	return segments, nil
}

// String is the pointer as it is written.
func (p pointer) String() string {
	var b strings.Builder
	for _, segment := range p {
		b.WriteByte('/')
		b.WriteString(strings.ReplaceAll(strings.ReplaceAll(segment, "~", "~0"), "/", "~1"))
	}
	return b.String()
}

// below reports whether the pointer leads into what another points to.
func (p pointer) below(other pointer) bool {
	return len(p) > len(other) && slices.Equal(p[:len(other)], other)
}

// index is the position a segment names in an array with a number of places.
// Negative ones count from the end, as in kube-apiserver.
func index(segment string, places int) (int, error) {
	n, err := strconv.Atoi(segment)
	if err != nil || segment[0] == '+' || len(segment) > 1 && segment[0] == '0' {
		return 0, fmt.Errorf("%q is not an index of an array", segment)
	}
	if n < 0 {
		n += places
	}
	if n < 0 || n >= places {
		return 0, fmt.Errorf("the array has no index %s", segment)
	}
	return n, nil
}

// slot is a place a value is kept in: of an object by its key, of an array by
// its index, or that of the whole document.
type slot struct {
	read  func() any
	write func(any)
}

// slot finds the place of a value that exists.
func (t *target) slot(path pointer) (slot, error) {
	found := slot{read: func() any { return t.root }, write: func(v any) { t.root = v }}
	for n, segment := range path {
		switch container := found.read().(type) {
		case map[string]any:
			if _, exists := container[segment]; !exists {
				return slot{}, fmt.Errorf("there is no value at %q", path[:n+1])
			}
			found = slot{read: func() any { return container[segment] }, write: func(v any) { container[segment] = v }}
		case []any:
			at, err := index(segment, len(container))
			if err != nil {
				return slot{}, fmt.Errorf("%q: %w", path[:n+1], err)
			}
			found = slot{read: func() any { return container[at] }, write: func(v any) { container[at] = v }}
		default:
			return slot{}, fmt.Errorf("there is no value at %q", path[:n+1])
		}
	}
	return found, nil
}

func (t *target) get(path pointer) (any, error) {
	found, err := t.slot(path)
	if err != nil {
		return nil, err
	}
	return found.read(), nil
}

func (t *target) replace(path pointer, content any) error {
	found, err := t.slot(path)
	if err != nil {
		return err
	}
	found.write(content)
	return nil
}

// add sets a key of an object, or inserts into an array.
func (t *target) add(path pointer, content any) error {
	if len(path) == 0 {
		t.root = content
		return nil
	}
	last := path[len(path)-1]
	parent, err := t.slot(path[:len(path)-1])
	if err != nil {
		return err
	}
	switch container := parent.read().(type) {
	case map[string]any:
		container[last] = content
	case []any:
		at := len(container)
		if last != "-" {
			if at, err = index(last, len(container)+1); err != nil {
				return fmt.Errorf("%q: %w", path, err)
			}
		}
		if err := t.shift(len(container) - at); err != nil {
			return err
		}
		parent.write(slices.Insert(container, at, content))
	default:
		return fmt.Errorf("there is neither an object nor an array at %q", path[:len(path)-1])
	}
	return nil
}

func (t *target) remove(path pointer) (any, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("the whole object cannot be removed")
	}
	removed, err := t.get(path)
	if err != nil {
		return nil, err
	}
	parent, err := t.slot(path[:len(path)-1])
	if err != nil {
		return nil, err
	}
	last := path[len(path)-1]
	switch container := parent.read().(type) {
	case map[string]any:
		delete(container, last)
	case []any:
		at, err := index(last, len(container))
		if err != nil {
			return nil, err
		}
		if err := t.shift(len(container) - at); err != nil {
			return nil, err
		}
		parent.write(slices.Delete(container, at, at+1))
	}
	return removed, nil
}

// shift counts elements that are moved within an array.
func (t *target) shift(elements int) error {
	if t.shifted += elements; t.shifted > maxShiftedElements {
		return tooLarge("it moves too many elements of arrays")
	}
	return nil
}
