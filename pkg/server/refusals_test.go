package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestRefusalsAreLogged: each refusal has one line with the Audit-Id of its answer.
func TestRefusalsAreLogged(t *testing.T) {
	var logged bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	defer slog.SetDefault(before)
	id := ""
	s := newServer(t, func(o *Options) {
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) { return a.GetUser().GetName() == "admin", nil })
	}, map[string]route.Handler{"a": func(_ http.ResponseWriter, r *http.Request) error {
		id = request.ID(r.Context())
		return nil
	}})
	for _, test := range []struct {
		name, credentials string
		code              int
		want              string // "" for no line
	}{
		{"allowed", "admin", 200, ""},
		{"not allowed", "jane", 403, "user=jane"},
		{"nobody", "", 401, "code=401"},
		{"an expired token", "expired", 401, "reason="},
		{"a session that ended", "over", 401, "the session has ended"},
		{"too many logins", "busy", 429, "too many logins"},
	} {
		logged.Reset()
		header := []string{"Authorization", test.credentials}
		if test.credentials == "" {
			header = nil
		}
		w := ask(s, http.MethodGet, "/kapis/test.io/v1/a", header...)
		lines := strings.Count(logged.String(), "\n")
		if w.Code != test.code || test.want == "" && lines != 0 {
			t.Errorf("%s: %d, logged %s", test.name, w.Code, logged.String())
		}
		if test.want != "" && (lines != 1 || !strings.Contains(logged.String(), "id="+w.Header().Get("Audit-Id")) || !strings.Contains(logged.String(), test.want)) {
			t.Errorf("%s: logged %s", test.name, logged.String())
		}
		if test.code == 200 && id != w.Header().Get("Audit-Id") {
			t.Errorf("the handler has the ID %q", id)
		}
	}
}
