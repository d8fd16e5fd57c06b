package route

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// DecodeError is the answer to JSON that does not fit a Go type: the field, what was
// found there and what is expected. Name is what the JSON is called, "the body" for
// example, and into what it was to be decoded into. It quotes no values, as some are
// secret.
func DecodeError(name string, err error, into any) error {
	var syntax *json.SyntaxError
	var field *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return status.BadRequest("%s is not JSON: %v", name, syntax)
	case errors.As(err, &field):
		where := name
		if field.Field != "" {
			where = name + " does not fit: " + field.Field
			// Of a list or a map encoding/json names the whole, and the type of one.
			if whole := fieldType(reflect.TypeOf(into), field.Field); whole != nil && whole != field.Type && isCollection(whole) {
				where = name + " does not fit: each value of " + field.Field
			}
		}
		wanted, found := expected(field.Type), kindOf(field.Value)
		if found == "a number" && strings.HasSuffix(strings.TrimSuffix(wanted, " that is not negative"), "number") {
			found = "another number"
		}
		return status.BadRequest("%s must be %s, not %s", where, wanted, found)
	}
	return status.BadRequest("%s cannot be read", name)
}

// kindOf is the kind of a value, as json.UnmarshalTypeError describes it: what
// follows the first word is the value itself.
func kindOf(value string) string {
	word, _, _ := strings.Cut(value, " ")
	switch word {
	case "object":
		return "an object"
	case "array":
		return "a list"
	case "bool":
		return "true or false"
	case "string", "number":
		return "a " + word
	}
	return "this"
}

// expected is what JSON has for a Go type.
func expected(t reflect.Type) string {
	if t == nil {
		return "something else"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return "a string in base64"
		}
		return "a list"
	}
	return "an object"
}

func isCollection(t reflect.Type) bool {
	return t.Kind() == reflect.Map || t.Kind() == reflect.Slice || t.Kind() == reflect.Array
}

// fieldType is the type of the field at a path, such as metadata.labels; nil if that
// is not known.
func fieldType(t reflect.Type, path string) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || path == "" {
		return t
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	name, rest, _ := strings.Cut(path, ".")
	for _, field := range reflect.VisibleFields(t) {
		if tag, _, _ := strings.Cut(field.Tag.Get("json"), ","); tag == name || tag == "" && field.Name == name {
			return fieldType(field.Type, rest)
		}
	}
	return nil
}
