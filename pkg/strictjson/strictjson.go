package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	kubejson "sigs.k8s.io/json"
)

// maxDepth bounds how deep the values of a body are nested, as encoding/json does.
const maxDepth = 10000

// DuplicateKeyError is the error about an object that has a key twice.
type DuplicateKeyError struct {
	// Key is the key without its escapes.
	Key string
}

// Error implements error, in kube-apiserver's words.
func (e *DuplicateKeyError) Error() string { return fmt.Sprintf("duplicate field %q", e.Key) }

// Unmarshal decodes JSON into a value. Unlike encoding/json it ignores keys that differ
// from the tag of a field in upper and lower case, which Kubernetes ignores as well: fields
// need tags.
// Whole numbers become int64 where the value is an interface.
func Unmarshal(text []byte, into any) error {
	return kubejson.UnmarshalCaseSensitivePreserveInts(text, into)
}

// ErrTooComplex is returned for a text whose values would take much more memory than the
// text: a map of one key takes a hundred times its five bytes.
var ErrTooComplex = errors.New("the values are too many")

// The memory that values take when they are decoded into maps and slices, about, and how
// much of it a text may take, in bytes.
const (
	objectMemory = 320
	arrayMemory  = 64
	valueMemory  = 48
	maxMemory    = 32 << 20
)

// IsRefusal reports whether an error of CheckKeys is about a text that is JSON.
func IsRefusal(err error) bool {
	var duplicate *DuplicateKeyError
	return errors.As(err, &duplicate) || errors.Is(err, ErrTooComplex)
}

// CheckKeys returns a *DuplicateKeyError when an object of a JSON text has a key twice,
// also in different escapes, ErrTooComplex for one that takes too much memory to decode, and
// another error for a text that is not one JSON value.
func CheckKeys(text []byte) error {
	memory := 0
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	// objects has the keys of each open object, nil for an array.
	var objects []map[string]bool
	isKey := false // the next token is a key, or the end of its object
	for started := false; !started || len(objects) > 0; started = true {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch token {
		case json.Delim('{'):
			memory += objectMemory
		case json.Delim('['):
			memory += arrayMemory
		default:
			memory += valueMemory
		}
		if memory > maxMemory {
			return ErrTooComplex
		}
		if key, isText := token.(string); isText && isKey {
			keys := objects[len(objects)-1]
			if keys[key] {
				return &DuplicateKeyError{Key: key}
			}
			keys[key], isKey = true, false
			continue
		}
		switch token {
		case json.Delim('{'):
			objects = append(objects, make(map[string]bool))
		case json.Delim('['):
			objects = append(objects, nil)
		case json.Delim('}'), json.Delim(']'):
			objects = objects[:len(objects)-1]
		}
		if len(objects) > maxDepth {
			return fmt.Errorf("the values are nested more than %d levels deep", maxDepth)
		}
		isKey = len(objects) > 0 && objects[len(objects)-1] != nil
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one value")
	}
	return nil
}

// Object decodes the object in a JSON text after CheckKeys.
func Object(text []byte) (map[string]any, error) {
	if err := CheckKeys(text); err != nil {
		return nil, err
	}
	var object map[string]any
	if err := Unmarshal(text, &object); err != nil {
		return nil, err
	}
	if object == nil {
		return nil, errors.New("the value is not an object")
	}
	return object, nil
}
