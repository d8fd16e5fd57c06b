package roles

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestRemoveWhatStays: a role with a finalizer, or the binding of one, was in force after
// its deletion had been answered with success; also one that gets the finalizer meanwhile.
func TestRemoveWhatStays(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds() {
		if k.below == "" {
			continue // the same handlers, without a place
		}
		for name, later := range map[string]bool{" with a finalizer": false, " that gets a finalizer meanwhile": true} {
			t.Run(k.title+name, func(t *testing.T) {
				meta := metav1.ObjectMeta{Name: "x", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}
				if !later {
					meta.Finalizers = []string{"x.io/keep"}
				}
				rules := []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"secrets"}}}
				jane, ref := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}}, rbacv1.RoleRef{APIGroup: k.Group, Kind: k.Kind, Name: "x"}
				var role, binding client.Object = &iamv1alpha2.WorkspaceRole{ObjectMeta: meta, Rules: rules}, &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: meta, Subjects: jane, RoleRef: ref}
				if k.Kind == "Role" {
					meta.Namespace = "n"
					role, binding = &rbacv1.Role{ObjectMeta: meta, Rules: rules}, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: jane, RoleRef: ref}
				}
				changed := make(map[string]bool)
				c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(role, binding).Build(), interceptor.Funcs{
					Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
						if kind := o.GetObjectKind().GroupVersionKind().Kind; later && !changed[kind] {
							changed[kind] = true
							present := o.DeepCopyObject().(client.Object)
							present.SetFinalizers([]string{"x.io/keep"})
							if err := c.Update(ctx, present); err != nil {
								return err
							}
						}
						return c.Delete(ctx, o, options...)
					},
				})
				h := &Handler{Client: c, Rights: managerRights{&authz.RBAC{All: true}}}
				r := httptest.NewRequest(http.MethodDelete, "/", nil)
				r.SetPathValue("namespace", meta.Namespace)
				if meta.Namespace == "" {
					r.SetPathValue("workspace", "w")
				}
				r.SetPathValue(k.name, "x")
				r.SetPathValue("rolebinding", "x")
				r = r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "manager"}))
				for what, handle := range map[string]func(http.ResponseWriter, *http.Request) error{k.Kind: h.remove(k), k.Kind + "Binding": h.unbind(k)} {
					if err := handle(httptest.NewRecorder(), r); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					left, err := h.read(t.Context(), k.GroupVersion().WithKind(what), k.groupResource(), placeOf(r), "x")
					if err != nil {
						t.Fatal(err)
					}
					given, err := iam.Given(left)
					if err != nil || len(given) > 0 || left.Object["subjects"] != nil || left.GetDeletionTimestamp() == nil {
						t.Errorf("%s is left as %v", what, left.Object)
					}
				}
			})
		}
	}
}
