package resources

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
)

// TestVisible: a list of all namespaces shows what the caller may see of it,
// in pages and total too (CVE-2024-46528, ks#6227).
func TestVisible(t *testing.T) {
	object := func(namespace, name string) string {
		return `{"metadata":{"name":"` + name + `","namespace":"` + namespace + `","creationTimestamp":"2026-01-01T00:00:00Z","uid":"` + namespace + name + `"}}`
	}
	door := newDoor(t, map[string][]string{
		"pods":       {object("a", "x"), object("n", "x"), object("n", "y"), object("n", "z"), object("o", "y")},
		"namespaces": {object("", "a"), object("", "n")},
		"workspaces": {object("", "v"), object("", "w")},
	})
	for _, test := range []struct {
		user, path string
		want       []string
		total      int
	}{
		{"admin", "/pods?sortBy=name&ascending=true", []string{"a/x", "n/x", "n/y", "o/y", "n/z"}, 5},
		{"member", "/pods?sortBy=name&ascending=true", []string{"n/x", "n/y", "n/z"}, 3},
		{"member", "/pods?sortBy=name", []string{"n/z", "n/y", "n/x"}, 3},
		{"member", "/pods?sortBy=name&ascending=true&limit=1&page=2", []string{"n/y"}, 3},
		{"member", "/pods?sortBy=name&limit=0", nil, 3},
		{"member", "/pods?name=x", []string{"n/x"}, 1},
		{"member", "/pods?namespace=a", nil, 0},
		{"member", "/namespaces", []string{"/n"}, 1},
		{"admin", "/workspaces?sortBy=name&ascending=true", []string{"/v", "/w"}, 2},
		{"member", "/workspaces", []string{"/w"}, 1},
	} {
		t.Run(test.user+" "+test.path, func(t *testing.T) {
			answer := ask(door, test.user, test.path)
			var list struct {
				Items []struct {
					Metadata struct{ Name, Namespace string }
				}
				TotalItems int
			}
			if err := json.Unmarshal(answer.Body.Bytes(), &list); err != nil || answer.Code != http.StatusOK {
				t.Fatal(answer.Code, err, answer.Body)
			}
			var got []string
			for _, item := range list.Items {
				got = append(got, item.Metadata.Namespace+"/"+item.Metadata.Name)
			}
			if !slices.Equal(got, test.want) || list.TotalItems != test.total {
				t.Errorf("got %v of %d, want %v of %d", got, list.TotalItems, test.want, test.total)
			}
		})
	}
	all, some := ask(door, "admin", "/namespaces"), ask(door, "member", "/namespaces")
	if all.Header().Get("ETag") == some.Header().Get("ETag") {
		t.Error("what one caller sees has the tag of what another sees")
	}
}
