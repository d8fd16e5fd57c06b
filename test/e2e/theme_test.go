//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const configs = "/kapis/config.kubesphere.io/v1alpha2/configs"

// TestConfigs: what consoles ask before anybody is logged in. Everybody sees the
// theme, and who may change the platform sets it.
func TestConfigs(t *testing.T) {
	t.Parallel()
	if got := decode[map[string]bool](t, shared.get(t, configs+"/configz")); got["multicluster"] {
		t.Errorf("features %v", got)
	}
	if r := shared.get(t, configs+"/gpu/kinds"); r.code != 200 || strings.TrimSpace(string(r.body)) != "[]" {
		t.Errorf("graphics processors: %d %s", r.code, r.body)
	}
	if r := shared.get(t, configs+"/theme"); r.code != 200 || strings.TrimSpace(string(r.body)) != "{}" {
		t.Errorf("no theme: %d %s", r.code, r.body)
	}
	admin := shared.as(t, "admin", adminPassword)
	for _, theme := range []fields{{"title": "Ours", "logo": "data:image/png;base64,AAAA"}, {"title": "Newer"}} {
		admin.must(t, 200, http.MethodPut, configs+"/theme", theme)
		if got := decode[map[string]string](t, shared.get(t, configs+"/theme")); got["title"] != theme["title"] || len(got) != len(theme) {
			t.Errorf("theme %v", got)
		}
	}
	other := run(t, func(*config.Config) {})
	if err := other.waitReady(wait.Timeout); err != nil {
		t.Fatal(err)
	}
	if got := decode[map[string]string](t, other.get(t, configs+"/theme")); got["title"] != "Newer" {
		t.Errorf("the theme of another replica: %v", got)
	}
	nobody := user(t, "themeless")
	if r := shared.send(t, http.MethodPut, configs+"/theme", nobody, `{"title":"Mine"}`); r.code != 403 {
		t.Errorf("a theme of nobody: %d", r.code)
	}
	for _, method := range []string{http.MethodPut, http.MethodPost, http.MethodDelete, http.MethodPatch} {
		if r := shared.do(t, method, configs+"/theme", strings.NewReader(`{"title":"Mine"}`), header("Content-Type", "application/json")); r.code != 401 {
			t.Errorf("%s without credentials: %d", method, r.code)
		}
	}
	admin.must(t, 400, http.MethodPut, configs+"/theme", []string{"no object"})
	admin.must(t, 413, http.MethodPut, configs+"/theme", fields{"logo": strings.Repeat("x", 600<<10)})
}
