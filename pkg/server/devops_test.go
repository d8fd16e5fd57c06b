package server

import (
	"context"
	"net/http"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestDevOpsProject: what is done in a DevOps project is decided in its
// namespace, and served there; without one it is decided on the platform, and
// not served.
func TestDevOpsProject(t *testing.T) {
	var decided authz.Scope
	served := ""
	const path = "/devops/{devops}/members"
	group := route.Group{Prefix: "/kapis/iam.kubesphere.io/v1alpha2", Tag: "Test", Routes: []route.Route{{
		Method: http.MethodGet, Path: path, ID: "list", Summary: "list", Responses: []route.Response{{Code: 200}},
		Parameters: []route.Parameter{{In: route.InPath, Name: "devops"}},
		Handler: request.InProject(func(w http.ResponseWriter, r *http.Request) error {
			served = r.PathValue("namespace")
			w.WriteHeader(http.StatusOK)
			return nil
		}),
	}}}
	s := newServer(t, func(o *Options) {
		o.Groups = []route.Group{group}
		o.DevOpsNamespace = func(_ context.Context, project string) (string, error) {
			if project == "busy" {
				return "", status.Unavailable(1, "not yet")
			}
			return map[string]string{"one": "ns-one", "two": "ns-two"}[project], nil
		}
		o.Authorizer = authorize(func(a authorizer.Attributes) (bool, error) {
			decided = a.(*authz.Attributes).Scope
			return decided != (authz.Scope{Namespace: "ns-two"}) && a.GetNamespace() == decided.Namespace, nil
		})
	}, nil)
	for _, test := range []struct {
		project   string
		code      int
		scope     authz.Scope
		namespace string
	}{
		{"one", 200, authz.Scope{Namespace: "ns-one"}, "ns-one"},
		{"two", 403, authz.Scope{Namespace: "ns-two"}, ""},
		{"none", 404, authz.Scope{}, ""},
		{"busy", 503, authz.Scope{}, ""},
	} {
		decided, served = authz.Scope{}, ""
		answer := ask(s, http.MethodGet, "/kapis/iam.kubesphere.io/v1alpha2/devops/"+test.project+"/members", "Authorization", "bob")
		if answer.Code != test.code || decided != test.scope || served != test.namespace {
			t.Errorf("%s: %d, decided in %+v, served in %q; want %+v", test.project, answer.Code, decided, served, test)
		}
	}
}
