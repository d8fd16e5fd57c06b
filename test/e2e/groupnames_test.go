//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestBoundGroupNames: whoever gave roles in a project kept a name from the groups of all
// other workspaces.
func TestBoundGroupNames(t *testing.T) {
	t.Parallel()
	wadmin, other := newPerson(t, "gn-bound-wadmin", "platform-regular"), newPerson(t, "gn-bound-other", "platform-regular")
	newSpace(t, "gn-bound-w1", wadmin)
	newSpace(t, "gn-bound-w2", other)
	wadmin.must(t, 200, "POST", tenantPath+"/workspaces/gn-bound-w1/namespaces", newNamespace("gn-bound-p1"))
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "gn-bound-group"}, {APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "gn-bound-staff"}}
	binding := &rbacv1.RoleBinding{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"}, ObjectMeta: metav1.ObjectMeta{Namespace: "gn-bound-p1", Name: "kept"},
		Subjects: subjects, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"},
	}
	wadmin.must(t, 201, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/gn-bound-p1/rolebindings", binding)
	other.must(t, 200, "POST", iamPath+"/workspaces/gn-bound-w2/groups", fields{"metadata": fields{"name": "gn-bound-group"}})
	if err := kubernetes(t, "").Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || !slices.Equal(binding.Subjects, subjects[1:]) {
		t.Errorf("left are %+v, %v", binding.Subjects, err)
	}
	// The name of a group that exists is not free, and its roles stay.
	wadmin.must(t, 200, "POST", iamPath+"/workspaces/gn-bound-w1/groups", fields{"metadata": fields{"name": "gn-bound-staff"}})
	if r := other.must(t, 409, "POST", iamPath+"/workspaces/gn-bound-w2/groups", fields{"metadata": fields{"name": "gn-bound-staff"}}); !strings.Contains(string(r.body), "AlreadyExists") {
		t.Errorf("answer %s", r.body)
	}
	if err := kubernetes(t, "").Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || !slices.Equal(binding.Subjects, subjects[1:]) {
		t.Errorf("left are %+v, %v", binding.Subjects, err)
	}
}
