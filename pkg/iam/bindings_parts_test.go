package iam

import (
	"context"
	"fmt"
	"strconv"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// TestBindingsInParts: bindings are read a few at once, as long as their subjects may be;
// a cache, which has no parts, is read whole.
func TestBindingsInParts(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	for n := range 3*bindingsAtOnce + 1 {
		user := "other"
		if n%bindingsAtOnce == 0 {
			user = "jane"
		}
		objects = append(objects, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: fmt.Sprintf("b-%03d", n)},
			RoleRef:    rbacv1.RoleRef{Kind: "Role", Name: fmt.Sprint("role-", n)}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}},
		})
	}
	for name, cached := range map[string]bool{"Kubernetes": false, "a cache": true} {
		t.Run(name, func(t *testing.T) {
			most := 0
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
					asked := (&client.ListOptions{}).ApplyOptions(options)
					if err := c.List(ctx, list, client.InNamespace(asked.Namespace)); err != nil {
						return err
					}
					all := list.(*rbacv1.RoleBindingList)
					if asked.Limit == 0 {
						return nil
					}
					from, _ := strconv.Atoi(asked.Continue)
					to := min(from+int(asked.Limit), len(all.Items))
					if all.Continue = strconv.Itoa(to); to == len(all.Items) {
						all.Continue = ""
					}
					if cached {
						all.Continue = cachedContinue
					}
					all.Items = all.Items[from:to]
					most = max(most, len(all.Items))
					return nil
				},
			}).Build()
			roles, err := (&Bindings{Client: c}).Roles(t.Context(), Place{Namespace: "n"}, "jane")
			if err != nil || len(roles) != 4 {
				t.Errorf("%v, %v", roles, err)
			}
			if most != bindingsAtOnce {
				t.Errorf("%d at once", most)
			}
		})
	}
}
