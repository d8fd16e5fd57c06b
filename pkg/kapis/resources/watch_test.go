package resources

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestWatchGoesOn: who is logged out sees no more, though the rights are there.
func TestWatchGoesOn(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/kapis/resources.kubesphere.io/v1alpha3/pods?watch=true", nil)
	info, err := request.Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	r = r.WithContext(kuberequest.WithUser(request.WithInfo(r.Context(), info), &user.DefaultInfo{Name: "jane"}))
	kind := objects.NewCatalog().Type("pods")
	for _, test := range []struct {
		name   string
		err    error
		rights bool
		want   bool
	}{
		{"nothing changed", nil, true, true},
		{"the session has ended", errors.New("the session has ended"), true, false},
		{"Kubernetes is away", apierrors.NewServiceUnavailable("away"), true, true},
		{"the right is gone", nil, false, false},
	} {
		h := &Handler{Authorizer: &authz.RBAC{All: true}, Agrees: agrees, Allowed: func(*http.Request) error { return test.err }}
		if !test.rights {
			h.Authorizer = authz.AnyOf{}
		}
		s := &stream{handler: h, request: r, form: form{kind: kind, secrets: true}}
		if got := s.allowed(); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
