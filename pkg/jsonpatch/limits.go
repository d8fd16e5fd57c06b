package jsonpatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// The limits of a patch. The number of operations is kube-apiserver's.
const (
	MaxOperations = 10000
	// MaxValues bounds the values of a patch: a decoded value takes up to a
	// hundred times the memory of its text.
	MaxValues = 100000
	// MaxDepth bounds how deep values are nested, and the segments of a pointer.
	MaxDepth = 128
	// MaxCopiedBytes bounds what the copy operations of a patch duplicate. An
	// object that is larger cannot be stored.
	MaxCopiedBytes = 1 << 20
	// MaxResultBytes bounds the patched document.
	MaxResultBytes = 3 << 20
	// maxShiftedElements bounds the elements of arrays that are moved to insert
	// or remove others.
	maxShiftedElements = 1 << 20
	// maxNumberBytes bounds the text of a number: to convert one costs far more
	// than to read it. All digits of a float64 are fewer.
	maxNumberBytes = 1024
	// maxComparedBytes bounds what the test operations of a patch compare. A patch
	// has to contain nearly all of it.
	maxComparedBytes = 8 << 20
)

var (
	// ErrTooLarge is returned for a patch beyond a limit.
	ErrTooLarge = errors.New("the patch is too large")
	// ErrMalformed is returned for a body that is not a valid patch.
	ErrMalformed = errors.New("malformed patch")
)

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrTooLarge, fmt.Sprintf(format, args...))
}

// decode decodes a patch after a look at its size. Numbers keep their text.
func decode(text []byte, into any) error {
	if err := measure(text); err != nil {
		return err
	}
	return decodeTrusted(text, into)
}

func decodeTrusted(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if decoder.More() {
		return fmt.Errorf("%w: there is more than one value", ErrMalformed)
	}
	return nil
}

// measure counts the values of a JSON text, how deep they are nested and how long
// its numbers are, without decoding it. What is no JSON is left to the decoder.
func measure(text []byte) error {
	values, depth := 1, 0
	for n := 0; n < len(text); n++ {
		switch text[n] {
		case '"':
			for n++; n < len(text) && text[n] != '"'; n++ {
				if text[n] == '\\' {
					n++
				}
			}
		case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			start := n
			for n+1 < len(text) && strings.IndexByte("+-.eE0123456789", text[n+1]) >= 0 {
				n++
			}
			if n-start >= maxNumberBytes {
				return tooLarge("it has a number of more than %d bytes", maxNumberBytes)
			}
		case '{', '[':
			values++
			if depth++; depth > MaxDepth {
				return tooLarge("its values are nested more than %d levels deep", MaxDepth)
			}
		case '}', ']':
			depth--
		case ',':
			values++
		}
		if values > MaxValues {
			return tooLarge("it has more than %d values", MaxValues)
		}
	}
	return nil
}

// encode is the inverse of decode.
func encode(document any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	if b.Len() > MaxResultBytes {
		return nil, tooLarge("the patched object has more than %d bytes", MaxResultBytes)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
