package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// userRights allow some verbs on users.
type userRights struct {
	smallRights
	verbs string
}

func (u userRights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetResource() == "users" && strings.Contains(u.verbs, a.GetVerb()) {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// TestGroupsOfUsers: whoever managed the groups of a workspace learned which users have a
// group of an identity provider, and made it the workspace's.
func TestGroupsOfUsers(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	member := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "reg"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"finance"}}}
	foreign := &iamv1alpha2.GroupBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "finance-reg-x", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "v"}},
		GroupRef:   iamv1alpha2.GroupReference{Name: "finance"}, Users: []string{"reg"},
	}
	project := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "b"}, Subjects: []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: "finance"}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "viewer"},
	}
	namespace := func(labels map[string]string) client.Object {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: labels}}
	}
	for _, test := range []struct {
		name, verbs    string
		objects        []client.Object
		plain, confirm int32
		named          bool
	}{
		{"a free name", "", nil, 200, 200, false},
		{"users, without rights", "", []client.Object{member}, 409, 403, false},
		{"users, who may be read", "list", []client.Object{member}, 409, 403, false},
		{"users, who may be changed", "update", []client.Object{member}, 409, 200, false},
		{"users, who are managed", "list update", []client.Object{member}, 409, 200, true},
		{"a membership, without rights", "", []client.Object{foreign}, 409, 403, false},
		{"a membership of users who are managed", "list update", []client.Object{foreign}, 409, 200, true},
		{"a role in a project", "", []client.Object{project, namespace(map[string]string{iamv1alpha2.LabelWorkspace: "v"})}, 200, 200, false},
		{"a role in a namespace of no workspace", "", []client.Object{project, namespace(nil)}, 409, 200, false},
	} {
		for parameter, code := range map[string]int32{"": test.plain, "?confirmBindings=true": test.confirm} {
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(test.objects...).Build()
			h := &Handler{Groups: &iam.Groups{Client: c, Bindings: &iam.Bindings{Client: c}}, Rights: userRights{verbs: test.verbs}}
			r := httptest.NewRequest(http.MethodPost, prefix+parameter, strings.NewReader(`{"metadata":{"name":"finance"}}`))
			r.SetPathValue("workspace", "w")
			w := httptest.NewRecorder()
			err := h.createGroup(w, r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "wadmin"})))
			if err == nil && code != 200 || err != nil && status.Of(err).Code != code {
				t.Errorf("%s%s: %v, want %d", test.name, parameter, err, code)
			}
			if err != nil && strings.Contains(err.Error(), "reg") != (test.named && parameter == "") {
				t.Errorf("%s%s: %v", test.name, parameter, err)
			}
		}
	}
}
