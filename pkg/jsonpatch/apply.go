package jsonpatch

import (
	"encoding/json"
	"fmt"
)

// operation is one operation of a JSON patch.
type operation struct {
	Op    string
	Path  *string
	From  *string
	Value value
}

// value tells a value of null from one that is missing.
type value struct {
	present bool
	content any
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *value) UnmarshalJSON(text []byte) error {
	v.present = true
	return decodeTrusted(text, &v.content)
}

// Apply applies a JSON patch (RFC 6902) to a JSON document. It fails with
// ErrMalformed for what is no JSON patch, with ErrTooLarge beyond a limit, and
// else with why an operation cannot be applied.
func Apply(document, patch []byte) ([]byte, error) {
	if err := measure(patch); err != nil {
		return nil, err
	}
	var operations []operation
	if err := decodeTrusted(patch, &operations); err != nil {
		return nil, err
	}
	if operations == nil {
		return nil, fmt.Errorf("%w: a JSON patch is an array of operations", ErrMalformed)
	}
	if len(operations) > MaxOperations {
		return nil, tooLarge("it has more than %d operations", MaxOperations)
	}
	t := &target{}
	if err := decodeTrusted(document, &t.root); err != nil {
		return nil, err
	}
	for n := range operations {
		if err := t.apply(&operations[n]); err != nil {
			return nil, fmt.Errorf("operation %d: %w", n, err)
		}
	}
	return encode(t.root)
}

// target is the document while it is patched, and what that has cost.
type target struct {
	root     any
	copied   int
	shifted  int
	compared int
}

func (t *target) apply(o *operation) error {
	if o.Path == nil {
		return fmt.Errorf("%w: path is missing", ErrMalformed)
	}
	path, err := parsePointer(*o.Path)
	if err != nil {
		return err
	}
	switch o.Op {
	case "add", "replace", "test":
		if !o.Value.present {
			return fmt.Errorf("%w: value is missing", ErrMalformed)
		}
	case "move", "copy":
		if o.From == nil {
			return fmt.Errorf("%w: from is missing", ErrMalformed)
		}
	}
	switch o.Op {
	case "add":
		return t.add(path, o.Value.content)
	case "replace":
		return t.replace(path, o.Value.content)
	case "remove":
		_, err := t.remove(path)
		return err
	case "test":
		return t.test(path, o.Value.content)
	case "move":
		return t.move(*o.From, path)
	case "copy":
		return t.copy(*o.From, path)
	}
	return fmt.Errorf("%w: %q is not an operation", ErrMalformed, o.Op)
}

func (t *target) move(from string, path pointer) error {
	source, err := parsePointer(from)
	if err != nil {
		return err
	}
	if path.below(source) {
		return fmt.Errorf("a value cannot be moved into itself")
	}
	moved, err := t.remove(source)
	if err != nil {
		return err
	}
	return t.add(path, moved)
}

func (t *target) copy(from string, path pointer) error {
	source, err := parsePointer(from)
	if err != nil {
		return err
	}
	found, err := t.get(source)
	if err != nil {
		return err
	}
	duplicate, err := t.duplicate(found)
	if err != nil {
		return err
	}
	return t.add(path, duplicate)
}

// bytesPerValue is what a value counts beside its text.
const bytesPerValue = 16

// duplicate copies a value; it stops as soon as more than MaxCopiedBytes have
// been copied.
func (t *target) duplicate(original any) (any, error) {
	t.copied += bytesPerValue
	switch v := original.(type) {
	case string:
		t.copied += len(v)
	case json.Number:
		t.copied += len(v)
	}
	if t.copied > MaxCopiedBytes {
		return nil, tooLarge("it copies more than %d bytes", MaxCopiedBytes)
	}
	switch v := original.(type) {
	case map[string]any:
		result := make(map[string]any)
		for key, one := range v {
			t.copied += len(key)
			duplicate, err := t.duplicate(one)
			if err != nil {
				return nil, err
			}
			result[key] = duplicate
		}
		return result, nil
	case []any:
		var result []any
		for _, one := range v {
			duplicate, err := t.duplicate(one)
			if err != nil {
				return nil, err
			}
			result = append(result, duplicate)
		}
		if result == nil {
			result = []any{}
		}
		return result, nil
	}
	return original, nil
}

func (t *target) test(path pointer, want any) error {
	found, err := t.get(path)
	if err != nil && want != nil { // a test for null is one for what is not there
		return err
	}
	same, err := t.equal(found, want)
	if err != nil {
		return err
	}
	if !same {
		return fmt.Errorf("testing %q: the value is another", path)
	}
	return nil
}

// equal compares two values; it stops as soon as more than maxComparedBytes have
// been compared.
func (t *target) equal(a, b any) (bool, error) {
	if err := t.compare(bytesPerValue); err != nil {
		return false, err
	}
	switch a := a.(type) {
	case map[string]any:
		b, same := b.(map[string]any)
		if !same || len(a) != len(b) {
			return false, nil
		}
		for key, one := range a {
			other, found := b[key]
			if !found {
				return false, nil
			}
			if same, err := t.equal(one, other); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case []any:
		b, same := b.([]any)
		if !same || len(a) != len(b) {
			return false, nil
		}
		for n := range a {
			if same, err := t.equal(a[n], b[n]); !same || err != nil {
				return false, err
			}
		}
		return true, nil
	case string:
		b, same := b.(string)
		if !same || len(a) != len(b) {
			return false, nil
		}
		return a == b, t.compare(len(a))
	case json.Number:
		b, same := b.(json.Number)
		if !same {
			return false, nil
		}
		return equalNumbers(a, b), t.compare(min(len(a), maxNumberBytes) + min(len(b), maxNumberBytes))
	}
	return a == b, nil
}

// compare counts bytes that are compared.
func (t *target) compare(bytes int) error {
	if t.compared += bytes; t.compared > maxComparedBytes {
		return tooLarge("it compares more than %d bytes", maxComparedBytes)
	}
	return nil
}

// equalNumbers compares numbers by their values, and those that are too long to be
// converted, which no patch contains, by their text.
func equalNumbers(a, b json.Number) bool {
	if a == b {
		return true
	}
	if len(a) > maxNumberBytes || len(b) > maxNumberBytes {
		return false
	}
	x, errX := a.Float64()
	y, errY := b.Float64()
	return errX == nil && errY == nil && x == y
}
