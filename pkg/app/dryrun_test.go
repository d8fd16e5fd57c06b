package app

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// TestDryRunOfWrites: each write below /kapis refuses a dry run, or is one that passes
// the parameter on to Kubernetes. A dry run of a deletion used to delete.
func TestDryRunOfWrites(t *testing.T) {
	groups, called := Routes(), ""
	for g := range groups {
		for n := range groups[g].Routes {
			r := &groups[g].Routes[n]
			r.Handler = func(w http.ResponseWriter, _ *http.Request) error {
				called = r.ID
				route.WriteSuccess(w)
				return nil
			}
		}
	}
	container, err := route.NewContainer(groups...)
	if err != nil {
		t.Fatal(err)
	}
	parameter, writes := regexp.MustCompile(`\{[^}]*\}`), 0
	for g := range groups {
		for n := range groups[g].Routes {
			r, path := &groups[g].Routes[n], groups[g].Path(&groups[g].Routes[n])
			if r.Method == http.MethodGet || r.Method == http.MethodHead || !strings.HasPrefix(path, "/kapis/") {
				continue
			}
			writes++
			for name, request := range map[string]*http.Request{
				"query": httptest.NewRequest(r.Method, parameter.ReplaceAllString(path, "x")+"?dryRun=All", nil),
				"body":  httptest.NewRequest(r.Method, parameter.ReplaceAllString(path, "x"), strings.NewReader(`{"dryRun":["All"]}`)),
			} {
				if name == "body" && r.Method != http.MethodDelete {
					continue
				}
				called = ""
				w := httptest.NewRecorder()
				container.ServeHTTP(w, request)
				if passes := groups[g].Tag == "Dynamic"; passes != (called != "") || !passes && w.Code != http.StatusBadRequest {
					t.Errorf("%s %s, %s: %d, called %q", r.Method, path, name, w.Code, called)
				}
			}
		}
	}
	if writes < 40 {
		t.Errorf("%d writes", writes)
	}
}
