package roles

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
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

// namedRoles has roles, by their names.
type namedRoles struct {
	Rights
	names []string
}

func (n namedRoles) RoleNames(context.Context, user.Info, authz.Scope) ([]string, error) {
	return n.names, nil
}

// everyAccount has an account for everybody.
type everyAccount struct{ Accounts }

func (everyAccount) Account(context.Context, string) (iam.Account, bool, error) {
	return iam.Account{}, true, nil
}

// TestUnreadTemplates: the templates of large roles for a client that does not read are not in
// memory, and are all there for one that does.
func TestUnreadTemplates(t *testing.T) {
	const templates = 40
	all, names := make([]string, 0, templates+2), make([]string, templates)
	for n := range names {
		names[n] = fmt.Sprint("t", n)
		all = append(all, fmt.Sprintf(`{"metadata":{"name":%q,"annotations":{"a":%q}}}`, names[n], strings.Repeat("x", 1<<20)))
	}
	list, err := json.Marshal(append(names, "none"))
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, fmt.Sprintf(`{"metadata":{"name":"made","annotations":{"iam.kubesphere.io/aggregation-roles":%q}}}`, list), `{"metadata":{"name":"own"}}`)
	cache, _ := objectstest.NewCache(t, map[string][]string{"globalroles": all})
	h := &Handler{Cache: cache, Catalog: objects.NewCatalog(), Accounts: everyAccount{}, Rights: namedRoles{names: []string{"gone", "made", "own"}}}
	if _, err := cache.View(t.Context(), h.Catalog.Type("globalroles")); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/users/jane/globalroles", nil)
	serve := h.templatesOf(kind{resource: "globalroles"}, "user")
	w := httptest.NewRecorder()
	var answer []any
	if err := serve(w, r); err != nil || json.Unmarshal(w.Body.Bytes(), &answer) != nil || len(answer) != templates+1 {
		t.Errorf("%d templates, %v", len(answer), err)
	}
	w, answer = nil, nil
	if grown := objectstest.Unread(t, func(w http.ResponseWriter) error { return serve(w, r) }); grown > 10<<20 {
		t.Errorf("%d bytes", grown)
	}
	h.Rights = namedRoles{names: []string{"gone"}}
	if w = httptest.NewRecorder(); serve(w, r) != nil || strings.TrimSpace(w.Body.String()) != "[]" {
		t.Errorf("no templates: %s", w.Body)
	}
}
