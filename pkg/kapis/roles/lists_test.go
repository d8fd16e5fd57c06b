package roles

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestTemplatesOfOtherWorkspaces: a list of templates told which of them a role of another
// workspace is made of.
func TestTemplatesOfOtherWorkspaces(t *testing.T) {
	role := func(name, workspace, more string) string {
		return `{"metadata":{"name":"` + name + `","labels":{"kubesphere.io/workspace":"` + workspace + `"},"annotations":{"iam.kubesphere.io/aggregation-roles":"[\"` + more + `\"]"}}}`
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"workspaceroles": {
		`{"metadata":{"name":"one","labels":{"iam.kubesphere.io/role-template":"true"}}}`, `{"metadata":{"name":"two","labels":{"iam.kubesphere.io/role-template":"true"}}}`,
		role("own-role", "own", "one"), role("other-role", "other", "two"), role("own-part", "own", ""), role("other-parts", "other", "own-part"),
	}})
	h := &Handler{Cache: cache, Catalog: objects.NewCatalog()}
	var serve func(http.ResponseWriter, *http.Request) error
	for _, k := range kinds() {
		if k.Kind == "WorkspaceRole" {
			serve = h.list(k)
		}
	}
	const templates = "label=iam.kubesphere.io/role-template%3Dtrue&aggregateTo="
	for _, test := range []struct{ name, workspace, parameters, want string }{
		{"a role of another workspace", "own", templates + "other-role", "[]"},
		{"a role of the workspace", "own", templates + "own-role", `["one"]`},
		{"the same role, for its workspace", "other", templates + "other-role", `["two"]`},
		{"and again for the first", "own", templates + "other-role", "[]"},
		{"no role", "own", templates + "none", "[]"},
		{"roles of the workspace another role is made of", "own", "aggregateTo=other-parts", "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/workspaceroles?"+test.parameters, nil)
			r.SetPathValue("workspace", test.workspace)
			w := httptest.NewRecorder()
			if err := serve(w, r); err != nil {
				t.Fatal(err)
			}
			if got := gjson.Get(w.Body.String(), "items.#.metadata.name").Raw; got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
