package tenant

import (
	"context"
	"net/http/httptest"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// administrators hold all rights when they are called admin, and none otherwise.
type administrators struct{ Rights }

func (administrators) Names() *reserved.Register { return nil }

func (administrators) Covers(_ context.Context, who user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if who.GetName() == "admin" {
		return nil, nil
	}
	return rules, nil
}

// TestReservedFields: what this server acts on in a template of a workspace, and in
// the workspace that is made of it, is not for everybody to write who may write it.
func TestReservedFields(t *testing.T) {
	type values = map[string]string
	template := func(annotations, labels, copiedAnnotations values) *tenantv1alpha2.WorkspaceTemplate {
		template := &tenantv1alpha2.WorkspaceTemplate{}
		template.Name, template.Annotations = "w", annotations
		template.Spec.Template.Labels, template.Spec.Template.Annotations = labels, copiedAnnotations
		return template
	}
	present := template(values{"kubesphere.io/creator": "jane"}, values{"a": "b"}, nil)
	present.Finalizers = []string{tenantv1alpha2.FinalizerWorkspaceTemplate}
	marked := template(nil, nil, nil)
	marked.Labels = values{"app.kubernetes.io/managed-by": "ks-apiserver"}
	finalized := template(nil, nil, nil)
	finalized.Finalizers = []string{"example.com/never"}
	h := &Handler{Rights: administrators{}}
	for _, test := range []struct {
		name            string
		present, wanted *tenantv1alpha2.WorkspaceTemplate
		refused         bool
	}{
		{"a new one", nil, template(nil, values{"a": "b"}, values{"c": "d"}), false},
		{"a new one that names its creator", nil, template(values{"kubesphere.io/creator": "somebody"}, nil, nil), false},
		{"a new one of this server", nil, marked, true},
		{"a new one with a finalizer", nil, finalized, true},
		{"a new one whose workspace is of this server", nil, template(nil, values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), true},
		{"a new one with what this server keeps at its workspace", nil, template(nil, nil, values{"ks-apiserver.kubesphere.io/applied": "x"}), true},
		{"all left out", present, template(nil, nil, nil), false},
		{"the same", present, present, false},
		{"another creator", present, template(values{"kubesphere.io/creator": "john"}, nil, nil), true},
		{"its namespaces are left alone", present, template(values{"kubesphere.io/deletion-propagation": "Orphan"}, nil, nil), true},
		{"its workspace becomes one of this server", present, template(nil, values{"app.kubernetes.io/managed-by": "ks-apiserver"}, nil), true},
		{"its workspace is labelled as one of another", present, template(nil, values{"kubesphere.io/workspace": "v"}, nil), true},
	} {
		for who, refused := range map[string]bool{"admin": false, "jane": test.refused} {
			r := httptest.NewRequest("PUT", "/", nil)
			r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: who}))
			if err := h.checkReserved(r, test.present, test.wanted.DeepCopy()); (err != nil) != refused || err != nil && status.Of(err).Code != 403 {
				t.Errorf("%s by %s: %v", test.name, who, err)
			}
		}
	}
}
