package jsonpatch

import "fmt"

// Merge applies a merge patch (RFC 7396) to a JSON document. It fails with
// ErrMalformed for what is no JSON object, and with ErrTooLarge.
func Merge(document, patch []byte) ([]byte, error) {
	var changes any
	if err := decode(patch, &changes); err != nil {
		return nil, err
	}
	if _, isObject := changes.(map[string]any); !isObject {
		return nil, fmt.Errorf("%w: a merge patch is an object", ErrMalformed)
	}
	var target any
	if err := decodeTrusted(document, &target); err != nil {
		return nil, err
	}
	return encode(merge(target, changes))
}

func merge(target, patch any) any {
	changes, isObject := patch.(map[string]any)
	if !isObject {
		return patch
	}
	object, isObject := target.(map[string]any)
	if !isObject {
		object = make(map[string]any, len(changes))
	}
	for key, value := range changes {
		if value == nil {
			delete(object, key)
		} else {
			object[key] = merge(object[key], value)
		}
	}
	return object
}
