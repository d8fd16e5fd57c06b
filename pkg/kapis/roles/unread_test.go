package roles

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestUnreadList: a list of roles for a client that does not read is not in memory.
func TestUnreadList(t *testing.T) {
	all := make([]string, 50)
	for n := range all {
		all[n] = fmt.Sprintf(`{"metadata":{"namespace":"p","name":"n%02d","annotations":{"a":%q}}}`, n, strings.Repeat("x", 1<<20))
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"roles": all})
	h := &Handler{Cache: cache, Catalog: objects.NewCatalog()}
	if _, err := cache.View(t.Context(), h.Catalog.Type("roles")); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/namespaces/p/roles?limit=-1&fields=metadata", nil)
	r.SetPathValue("namespace", "p")
	serve := h.list(kind{resource: "roles"})
	if grown := objectstest.Unread(t, func(w http.ResponseWriter) error { return serve(w, r) }); grown > 20<<20 {
		t.Errorf("%d bytes", grown)
	}
}
