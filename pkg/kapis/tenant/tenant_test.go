package tenant

import (
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestOrphans: of two propagation policies none decides about the namespaces.
func TestOrphans(t *testing.T) {
	for _, test := range []struct {
		query, body     string
		orphan, refused bool
	}{
		{"", "", false, false},
		{"?propagationPolicy=Orphan", "", true, false},
		{"", `{"propagationPolicy":"Orphan"}`, true, false},
		{"?propagationPolicy=Background", `{"propagationPolicy":"Orphan"}`, false, false},
		{"?propagationPolicy=Orphan&propagationPolicy=Background", "", false, true},
		{"?propagationPolicy=Orphan&propagationPolicy=Orphan", "", false, true},
		{"?propagationPolicy=orphan", "", false, true},
		{"?propagationPolicy=Orphan&x=%zz", "", false, true},
	} {
		orphan, err := orphans(httptest.NewRequest("DELETE", "/workspaces/w"+test.query, strings.NewReader(test.body)))
		if orphan != test.orphan || apierrors.IsBadRequest(err) != test.refused || (err == nil) == test.refused {
			t.Errorf("%s %s: %v, %v", test.query, test.body, orphan, err)
		}
	}
}
