package route

import (
	"net/http"
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// MaxEntries bounds the entries of a list in the body of a request, each of which is
// checked and written.
const MaxEntries = 200

// CheckEntries returns 413 for a list of more than MaxEntries entries.
func CheckEntries(count int) error {
	if count <= MaxEntries {
		return nil
	}
	return status.New(http.StatusRequestEntityTooLarge, metav1.StatusReasonRequestEntityTooLarge, "a list in a request has at most %d entries, not %d", MaxEntries, count)
}

// checkList is CheckEntries for a value that is decoded into, if it is a list.
func checkList(into any) error {
	value := reflect.Indirect(reflect.ValueOf(into))
	if value.Kind() != reflect.Slice {
		return nil
	}
	return CheckEntries(value.Len())
}

// CheckDuplicates returns 422 if two entries of a list have the same key. Entries with
// an empty key are not compared.
func CheckDuplicates[T any](entries []T, key func(T) string) error {
	known := make(map[string]bool, len(entries))
	for _, entry := range entries {
		name := key(entry)
		if name != "" && known[name] {
			return status.New(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid, "%q is in the list more than once", name)
		}
		known[name] = true
	}
	return nil
}
