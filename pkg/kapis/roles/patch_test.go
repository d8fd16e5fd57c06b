package roles

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestPatchConflict: patches that name no version of a role conflicted with each other.
func TestPatchConflict(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	var k kind
	for _, one := range kinds() {
		if one.Kind == "Role" {
			k = one
		}
	}
	for _, test := range []struct {
		name, patch string
		code        int32
	}{
		{"of no version", `{"metadata":{"annotations":{"a":"b"}}}`, 0},
		{"of the version before", `{"metadata":{"resourceVersion":"1","annotations":{"a":"b"}}}`, http.StatusConflict},
	} {
		t.Run(test.name, func(t *testing.T) {
			writes := 0
			c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).WithObjects(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "r"}}).Build(), interceptor.Funcs{
				Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
					if writes++; writes == 1 { // somebody else is first
						other := &rbacv1.Role{}
						if err := c.Get(ctx, client.ObjectKeyFromObject(o), other); err != nil {
							return err
						}
						other.Labels = map[string]string{"other": "true"}
						if err := c.Update(ctx, other); err != nil {
							return err
						}
					}
					return c.Update(ctx, o, options...)
				},
			})
			h := &Handler{Client: c, Rights: managerRights{&authz.RBAC{All: true}}}
			r := httptest.NewRequest(http.MethodPatch, "/", strings.NewReader(test.patch))
			r.Header.Set("Content-Type", "application/merge-patch+json")
			r.SetPathValue("namespace", "n")
			r.SetPathValue(k.name, "r")
			err := h.patch(k)(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "manager"})))
			if (err == nil) != (test.code == 0) || err != nil && status.Of(err).Code != test.code {
				t.Fatalf("got %v, want %d", err, test.code)
			}
			got := &rbacv1.Role{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "r"}, got); err != nil {
				t.Fatal(err)
			}
			if applied := got.Annotations["a"] == "b"; applied != (test.code == 0) || got.Labels["other"] == "" && !apierrors.IsConflict(err) {
				t.Errorf("stored: %v", got.ObjectMeta)
			}
		})
	}
}
