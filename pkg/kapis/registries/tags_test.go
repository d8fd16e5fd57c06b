package registries

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

// TestTagsOfARegistry: what a registry says its tags are is bounded; there was no bound for
// tags of a megabyte.
func TestTagsOfARegistry(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	many := make([]string, mostTags)
	for n := range many {
		many[n] = fmt.Sprint("t", n)
	}
	longest := strings.Repeat("y", longestTag)
	for _, test := range []struct {
		name  string
		pages [][]string
		want  int
	}{
		{"some pages", [][]string{{"a", "b"}, {longest}, {}}, 3},
		{"long tags", [][]string{{"a", long}, {long, long}, {"b", long[:longestTag+1]}}, 2},
		{"many tags", [][]string{{"a"}, many, {"b"}}, mostTags},
	} {
		t.Run(test.name, func(t *testing.T) {
			registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				number := len(r.URL.Query().Get("next"))
				if number+1 < len(test.pages) {
					w.Header().Set("Link", fmt.Sprintf(`</v2/team/app/tags/list?next=%s>; rel="next"`, strings.Repeat("1", number+1)))
				}
				_ = json.NewEncoder(w).Encode(map[string]any{"name": "team/app", "tags": test.pages[number]})
			}))
			defer registry.Close()
			repository, err := name.NewRepository(strings.TrimPrefix(registry.URL, "http://")+"/team/app", name.Insecure)
			if err != nil {
				t.Fatal(err)
			}
			got, err := list(t.Context(), repository, nil)
			if err != nil || len(got) != test.want {
				t.Errorf("%d tags, want %d: %v", len(got), test.want, err)
			}
		})
	}
}
