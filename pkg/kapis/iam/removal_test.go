package iam

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// smallRights are those of a caller who holds no role called admin and not the
// roles of the group admins.
type smallRights struct{}

func (smallRights) NameRoles(_ context.Context, _ string, _ authz.Scope, err error) error { return err }

func (smallRights) Names() *reserved.Register { return nil }

func (smallRights) MayRevoke(_ context.Context, _ user.Info, _ authz.Scope, ref rbacv1.RoleRef) error {
	if ref.Name == "admin" {
		return status.Forbidden(iamv1alpha2.Resource("roles"), ref.Name, "the rights of the role are not held")
	}
	return nil
}

func (smallRights) Covers(context.Context, user.Info, authz.Scope, []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	return nil, nil
}

// decideBy permits what rights cover on the platform.
func decideBy(ctx context.Context, rights authz.Coverer, a authorizer.Attributes) (authorizer.Decision, string, error) {
	resource := a.GetResource()
	if a.GetSubresource() != "" {
		resource += "/" + a.GetSubresource()
	}
	missing, err := rights.Covers(ctx, a.GetUser(), authz.Scope{}, []rbacv1.PolicyRule{{Verbs: []string{a.GetVerb()}, APIGroups: []string{a.GetAPIGroup()}, Resources: []string{resource}}})
	if err != nil || len(missing) > 0 {
		return authorizer.DecisionNoOpinion, "", err
	}
	return authorizer.DecisionAllow, "", nil
}

func (s smallRights) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	return decideBy(ctx, s, a)
}

func (smallRights) FindExcess(_ context.Context, _, subject user.Info) (*authz.Excess, error) {
	if slices.Contains(subject.GetGroups(), "admins") {
		return &authz.Excess{Kind: "Role", Role: "admin", Scope: authz.Scope{Namespace: "n"}}, nil
	}
	return nil, nil
}

func (smallRights) Administrators(context.Context) (users, groups []string, err error) {
	return nil, nil, nil
}

func (s smallRights) FindPlatformExcess(ctx context.Context, who, subject user.Info) (*authz.Excess, error) {
	return s.FindExcess(ctx, who, subject)
}

// managers are those of the workspace w with the namespaces m and n.
type managers struct{ dismissed []string }

func (m *managers) Dismiss(_ context.Context, _, name string, _ func() error) error {
	m.dismissed = append(m.dismissed, name)
	return nil
}

func (m *managers) Namespaces(context.Context, string) ([]string, error) {
	return []string{"m", "n"}, nil
}

func workspaceLabels(more ...string) map[string]string {
	labels := map[string]string{iamv1alpha2.LabelWorkspace: "w"}
	for n := 0; n+1 < len(more); n += 2 {
		labels[more[n]] = more[n+1]
	}
	return labels
}

func workspaceBinding(role string) client.Object {
	return &iamv1alpha2.WorkspaceRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "jane-" + role, Labels: workspaceLabels()}, Subjects: authz.UserSubjects("jane"),
		RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "WorkspaceRole", Name: role},
	}
}

func namespaceBinding(namespace, role string) client.Object {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "jane-" + role}, Subjects: authz.UserSubjects("jane"),
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
	}
}

func group(name string, labels ...string) client.Object {
	return &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: workspaceLabels(labels...)}}
}

func membership(group string, users ...string) client.Object {
	return &iamv1alpha2.GroupBinding{
		ObjectMeta: metav1.ObjectMeta{Name: group + "-members", Labels: workspaceLabels()}, Users: users,
		GroupRef: iamv1alpha2.GroupReference{APIGroup: iamv1alpha2.GroupName, Kind: "Group", Name: group},
	}
}

// testRemoval sends a removal with small rights to a handler and checks the
// answer, and that a refused one deletes nothing. It returns the managers.
func testRemoval(t *testing.T, requester string, values map[string]string, objects []client.Object, code int32, handler func(*Handler) func(http.ResponseWriter, *http.Request) error) *managers {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	bindings, workspaces := &iam.Bindings{Client: c}, &managers{}
	h := &Handler{Bindings: bindings, Groups: &iam.Groups{Client: c, Bindings: bindings}, Managers: workspaces, Roles: smallRights{}, Rights: smallRights{}}
	r := httptest.NewRequest("DELETE", prefix, nil)
	for name, value := range values {
		r.SetPathValue(name, value)
	}
	err = handler(h)(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: requester})))
	if (err == nil) != (code == 0) || err != nil && status.Of(err).Code != code {
		t.Errorf("got %v, want %d", err, code)
	}
	for _, object := range objects {
		found := c.Get(t.Context(), client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object)) == nil
		if found == (code == 0) {
			t.Errorf("%T %s exists: %v after the answer %d", object, object.GetName(), found, code)
		}
	}
	return workspaces
}

// TestRemoveWorkspaceMember: the removal of a member takes the rights of all
// roles the member loses: in the workspace, its namespaces and its groups.
func TestRemoveWorkspaceMember(t *testing.T) {
	viewer := workspaceBinding("w-viewer")
	for _, test := range []struct {
		name, requester string
		objects         []client.Object
		code            int32
	}{
		{"a small role", "john", []client.Object{viewer, namespaceBinding("m", "viewer"), membership("guests", "jane")}, 0},
		{"a large role in the workspace", "john", []client.Object{workspaceBinding("admin")}, 403},
		{"a large role in one of the namespaces", "john", []client.Object{viewer, namespaceBinding("m", "viewer"), namespaceBinding("n", "admin")}, 403},
		{"a large role of a group", "john", []client.Object{viewer, namespaceBinding("m", "viewer"), membership("guests", "jane"), membership("admins", "jane")}, 403},
		{"the member leaves", "jane", []client.Object{viewer, namespaceBinding("n", "admin"), membership("admins", "jane")}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := map[string]string{"workspacemember": "jane"}
			workspaces := testRemoval(t, test.requester, values, test.objects, test.code, func(h *Handler) func(http.ResponseWriter, *http.Request) error {
				m := &members{Handler: h, place: func(*http.Request) iam.Place { return iam.Place{Workspace: "w"} }, resource: "workspacemembers", parameter: "workspacemember"}
				return m.remove
			})
			if dismissed := len(workspaces.dismissed) > 0; dismissed != (test.code == 0) {
				t.Errorf("dismissed as the manager: %v", dismissed)
			}
		})
	}
}

// TestDeleteGroupBinding: only a membership of the caller alone is given up freely.
func TestDeleteGroupBinding(t *testing.T) {
	for _, test := range []struct {
		name, workspace, group string
		users                  []string
		code                   int32
	}{
		{"the own one", "w", "admins", []string{"jane"}, 0},
		{"that of another user", "w", "admins", []string{"john"}, 403},
		{"one shared with another user", "w", "admins", []string{"jane", "john"}, 403},
		{"that of another user in a small group", "w", "guests", []string{"john"}, 0},
		{"that of another workspace", "v", "admins", []string{"john"}, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := map[string]string{"workspace": test.workspace, "groupbinding": test.group + "-members"}
			testRemoval(t, "jane", values, []client.Object{membership(test.group, test.users...)}, test.code, func(h *Handler) func(http.ResponseWriter, *http.Request) error {
				return h.deleteGroupBinding
			})
		})
	}
}

// TestDeleteGroup: the groups below a group are deleted with it, so that their
// roles count too.
func TestDeleteGroup(t *testing.T) {
	for _, test := range []struct {
		name    string
		objects []client.Object
		code    int32
	}{
		{"a small group", []client.Object{group("guests")}, 0},
		{"a small group above a small one", []client.Object{group("guests"), group("children", iamv1alpha2.LabelGroupParent, "guests")}, 0},
		{"a small group above a large one", []client.Object{group("guests"), group("admins", iamv1alpha2.LabelGroupParent, "guests")}, 403},
		{"a small group far above a large one", []client.Object{
			group("guests"), group("children", iamv1alpha2.LabelGroupParent, "guests"), group("admins", iamv1alpha2.LabelGroupParent, "children"),
		}, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			values := map[string]string{"workspace": "w", "group": "guests"}
			testRemoval(t, "jane", values, test.objects, test.code, func(h *Handler) func(http.ResponseWriter, *http.Request) error { return h.deleteGroup })
		})
	}
}
