package route

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestPatchOfArray: an array is a JSON patch, whatever its media type says.
func TestPatchOfArray(t *testing.T) {
	for _, test := range []struct{ media, body, want string }{
		{"application/merge-patch+json", ` [{"op":"replace","path":"/a","value":"y"}]`, "y"},
		{"application/json", `[{"op":"replace","path":"/a","value":"y"}]`, "y"},
		{"", "\n[{\"op\":\"replace\",\"path\":\"/a\",\"value\":\"y\"}]", "y"},
		{"application/json-patch+json", `[{"op":"replace","path":"/a","value":"y"}]`, "y"},
		{"application/merge-patch+json", `{"a":"z"}`, "z"},
	} {
		r := httptest.NewRequest(http.MethodPatch, "/", strings.NewReader(test.body))
		if test.media != "" {
			r.Header.Set("Content-Type", test.media)
		}
		patched := map[string]string{}
		if err := Patched(r, map[string]string{"a": "x"}, &patched); err != nil || patched["a"] != test.want {
			t.Errorf("%s %s: %v, %v", test.media, test.body, patched, err)
		}
	}
}
