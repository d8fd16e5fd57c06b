package tenant

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// TestChangedBetweenCheckAndWrite: a user who kept writing an object undid what an
// administrator wrote between the checks and the write.
func TestChangedBetweenCheckAndWrite(t *testing.T) {
	const enforce = "pod-security.kubernetes.io/enforce"
	inWorkspace := map[string]string{iamv1alpha2.LabelWorkspace: "w"}
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, body string
		object     client.Object
		change     func(client.Object)
		changed    func(client.Object) bool
		handler    func(h *Handler) func(http.ResponseWriter, *http.Request) error
	}{
		{
			"a replaced manager names himself", `{"metadata":{"name":"w"},"spec":{"template":{"spec":{"manager":"jane"}}}}`,
			&tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w"}},
			func(o client.Object) { o.(*tenantv1alpha2.WorkspaceTemplate).Spec.Template.Spec.Manager = "john" },
			func(o client.Object) bool {
				return o.(*tenantv1alpha2.WorkspaceTemplate).Spec.Template.Spec.Manager == "john"
			},
			func(h *Handler) func(http.ResponseWriter, *http.Request) error { return h.updateWorkspace },
		},
		{
			"a project administrator removes a label", `{"metadata":{"name":"p"}}`,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: inWorkspace}},
			func(o client.Object) {
				o.SetLabels(map[string]string{iamv1alpha2.LabelWorkspace: "w", enforce: "restricted"})
			},
			func(o client.Object) bool { return o.GetLabels()[enforce] == "restricted" },
			func(h *Handler) func(http.ResponseWriter, *http.Request) error { return h.updateNamespace },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if template, is := test.object.(*tenantv1alpha2.WorkspaceTemplate); is {
				template.Spec.Template.Spec.Manager = "jane"
			}
			role := &iamv1alpha2.WorkspaceRole{
				ObjectMeta: metav1.ObjectMeta{Name: "w-admin", Labels: inWorkspace}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}},
			}
			jane := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}}
			done := false
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(test.object, role, jane).WithInterceptorFuncs(interceptor.Funcs{
				Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
					if o.GetName() == test.object.GetName() && !done {
						done = true
						present := o.DeepCopyObject().(client.Object)
						if err := c.Get(ctx, client.ObjectKeyFromObject(o), present); err != nil {
							return err
						}
						test.change(present)
						if err := c.Update(ctx, present); err != nil {
							return err
						}
					}
					return c.Update(ctx, o, options...)
				},
			}).Build()
			bindings := &iam.Bindings{Client: c}
			h := &Handler{
				Rights: administrators{}, Bindings: bindings, Workspaces: &tenant.Workspaces{Client: c},
				Projects: &tenant.Projects{Client: c, Bindings: bindings, Now: time.Now},
			}
			r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			r.SetPathValue("workspace", "w")
			r.SetPathValue("namespace", "p")
			err := test.handler(h)(httptest.NewRecorder(), r.WithContext(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"})))
			if status.Of(err).Code != http.StatusForbidden {
				t.Errorf("got %v", err)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(test.object), test.object); err != nil || !done || !test.changed(test.object) {
				t.Errorf("the administrator's change is gone: %+v, %v", test.object, err)
			}
		})
	}
}
