package tenant

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestUnreadList: a list for a client that does not read is not in memory: a few
// requests that nobody read took all of it.
func TestUnreadList(t *testing.T) {
	all := make([]string, 50)
	for n := range all {
		all[n] = fmt.Sprintf(`{"metadata":{"name":"n%02d","annotations":{"a":%q}}}`, n, strings.Repeat("x", 1<<20))
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"namespaces": all})
	h := &Handler{Cache: cache, Types: &objects.Resolver{Catalog: objects.NewCatalog()}}
	kind := h.Types.Catalog.Type("namespaces")
	if _, err := cache.View(t.Context(), kind); err != nil {
		t.Fatal(err)
	}
	for _, parameters := range []string{"", "&fields=metadata", "&fields=metadata&pretty=true"} {
		r := httptest.NewRequest(http.MethodGet, "/namespaces?limit=-1"+parameters, nil)
		grown := objectstest.Unread(t, func(w http.ResponseWriter) error {
			return h.list(w, r, kind, authz.Visible{All: true})
		})
		if grown > 20<<20 {
			t.Errorf("%q: %d bytes", parameters, grown)
		}
	}
}
