package roles

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// reviewsOf serves the reviews of who asks.
func reviewsOf(t *testing.T, h *Handler) http.Handler {
	t.Helper()
	group, err := h.SelfReviews()
	if err != nil {
		t.Fatal(err)
	}
	container, err := route.NewContainer(group)
	if err != nil {
		t.Fatal(err)
	}
	return container
}

// TestSelfReviewBodies: clients send a review in any encoding of Kubernetes, but no YAML that
// expands to a long text.
func TestSelfReviewBodies(t *testing.T) {
	h := &Handler{Rights: managerRights{&authz.RBAC{All: true}}, Authorizer: &authz.RBAC{All: true}}
	reviews := reviewsOf(t, h)
	for _, test := range []struct {
		name, body string
		code       int
	}{
		{"JSON", `{"spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}}`, 201},
		{"YAML", "spec:\n  resourceAttributes: {verb: get, resource: pods}\n", 201},
		{"another kind", `{"kind":"Pod","apiVersion":"v1"}`, 400},
		{"a key twice in YAML", "spec: {}\nspec: {}\n", 400},
		{"aliases that expand to 120 MB", "a: &a " + strings.Repeat("x", 50_000) + "\nb: [" + strings.Repeat("*a,", 2_400) + "]", 413},
		{"a long body", strings.Repeat(" ", maxReview+1), 413},
	} {
		r := httptest.NewRequest(http.MethodPost, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", strings.NewReader(test.body))
		w := httptest.NewRecorder()
		reviews.ServeHTTP(w, r.WithContext(kuberequest.WithUser(r.Context(), &user.DefaultInfo{Name: "jane"})))
		if w.Code != test.code {
			t.Errorf("%s: %d %.200s, want %d", test.name, w.Code, w.Body, test.code)
		}
	}
}
