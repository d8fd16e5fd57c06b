package iam

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestMayGive: the refusal named a resource "roles" whatever the role was, and showed
// the missing rules as a Go struct.
func TestMayGive(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	rules := []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}}
	named := metav1.ObjectMeta{Name: "viewer"}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&iamv1alpha2.GlobalRole{ObjectMeta: named, Rules: rules}, &rbacv1.ClusterRole{ObjectMeta: named, Rules: rules},
		&iamv1alpha2.WorkspaceRole{ObjectMeta: metav1.ObjectMeta{Name: "viewer", Labels: workspaceLabels()}, Rules: rules},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "viewer", Namespace: "n"}, Rules: rules},
	).Build()
	h := &Handler{Bindings: &iam.Bindings{Client: c}, Roles: smallRights{}, Rights: noRights{smallRights{}}}
	for _, test := range []struct {
		place iam.Place
		role  string
	}{
		{iam.Place{}, `globalroles.iam.kubesphere.io "viewer"`},
		{iam.Place{Cluster: true}, `clusterroles.rbac.authorization.k8s.io "viewer"`},
		{iam.Place{Workspace: "w"}, `workspaceroles.iam.kubesphere.io "viewer"`},
		{iam.Place{Namespace: "n"}, `roles.rbac.authorization.k8s.io "viewer"`},
	} {
		r := httptest.NewRequest(http.MethodPost, prefix, nil)
		err := h.mayGive(r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "jane"})), test.place, "viewer")
		if status.Of(err).Code != http.StatusForbidden || !strings.HasPrefix(status.Of(err).Message, test.role) || !strings.HasSuffix(status.Of(err).Message, `missing is [{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]`) {
			t.Errorf("%+v: %v", test.place, err)
		}
	}
}
