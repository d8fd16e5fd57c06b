package roles

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// managerRights are those of a user who may give every role and does not hold
// all rights.
type managerRights struct{ *authz.RBAC }

func (managerRights) Covers(_ context.Context, _ user.Info, _ authz.Scope, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	return rules, nil
}

// TestReservedFieldsOfNewObjects: new roles and bindings are checked against the
// reserved fields as those that go to Kubernetes directly are. What the server
// sets, and what the console sends, takes no further right.
func TestReservedFieldsOfNewObjects(t *testing.T) {
	kindNamed := make(map[string]kind)
	for _, k := range kinds() {
		kindNamed[k.Kind] = k
	}
	binding := func(metadata, subject string) string {
		return `{"metadata":{"name":"b",` + metadata + `},"roleRef":{"name":"r"},"subjects":[{"kind":` + subject + `}]}`
	}
	role := func(metadata string) string { return `{"metadata":{"name":"r",` + metadata + `},"rules":[]}` }
	const (
		jane    = `"User","name":"jane"`
		ops     = `"Group","name":"ops"`
		creator = `"annotations":{"kubesphere.io/creator":"admin","kubesphere.io/description":"x"}`
	)
	for _, test := range []struct {
		name, kind string
		isBinding  bool
		body       string
		allowed    bool
	}{
		{"a global role of the console", "GlobalRole", false, role(creator), true},
		{"a workspace role of the console", "WorkspaceRole", false, role(creator + `,"labels":{"kubesphere.io/workspace":"w"}`), true},
		{"a role of the console", "Role", false, role(creator + `,"labels":{"a":"b"}`), true},
		{"a role that owns nothing", "GlobalRole", false, role(`"finalizers":["example.com/never"],"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"c","uid":"1"}]`), true},
		{"a global role of this server", "GlobalRole", false, role(`"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`), false},
		{"a workspace role of this server", "WorkspaceRole", false, role(`"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`), false},
		{"a cluster role of this server", "ClusterRole", false, role(`"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`), false},
		{"a role with a record of this server", "Role", false, role(`"annotations":{"ks-apiserver.kubesphere.io/base":"x"}`), false},
		{"a role of another manager", "GlobalRole", false, role(`"labels":{"app.kubernetes.io/managed-by":"Helm"}`), true},

		{"a workspace role binding for a user", "WorkspaceRole", true, binding(creator, jane), true},
		{"a workspace role binding with the labels the server sets", "WorkspaceRole", true, binding(`"labels":{"kubesphere.io/workspace":"w","iam.kubesphere.io/user-ref":"jane"}`, jane), true},
		{"a workspace role binding for a group", "WorkspaceRole", true, binding(`"labels":{"iam.kubesphere.io/group-ref":"ops"}`, ops), true},
		{"a global role binding", "GlobalRole", true, binding(creator, jane), true},
		{"a role binding", "Role", true, binding(creator, ops), true},
		{"a binding of this server", "WorkspaceRole", true, binding(`"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`, jane), false},
		{"a binding of an identity provider", "GlobalRole", true, binding(`"labels":{"iam.kubesphere.io/identify-provider":"idp"}`, jane), false},
		{"a binding for a group with the label of a user", "WorkspaceRole", true, binding(`"labels":{"iam.kubesphere.io/user-ref":"john"}`, ops), false},
		{"a global role binding of a workspace", "GlobalRole", true, binding(`"labels":{"kubesphere.io/workspace":"w"}`, jane), false},
		{"a cluster role binding of a global role", "ClusterRole", true, binding(`"labels":{"iam.kubesphere.io/globalrole-ref":"platform-admin"}`, jane), false},
		{"a list with one binding of this server", "WorkspaceRole", true, `[` + binding(creator, ops) + `,` + strings.Replace(binding(`"labels":{"app.kubernetes.io/managed-by":"ks-apiserver"}`, jane), `"b"`, `"c"`, 1) + `]`, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			scheme, err := kube.Scheme()
			if err != nil {
				t.Fatal(err)
			}
			c := fake.NewClientBuilder().WithScheme(scheme).Build()
			h := &Handler{Client: c, Rights: managerRights{&authz.RBAC{All: true}}}
			k := kindNamed[test.kind]
			r := httptest.NewRequest("POST", "/", strings.NewReader(test.body))
			switch test.kind {
			case "WorkspaceRole":
				r.SetPathValue("workspace", "w")
			case "Role":
				r.SetPathValue("namespace", "n")
			}
			create, made, kindName := h.create(k), "r", k.Kind
			if test.isBinding {
				create, made, kindName = h.bind(k), "b", k.Kind+"Binding"
			}
			err = create(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "manager"})))
			if (err == nil) != test.allowed || err != nil && status.Of(err).Code != 403 {
				t.Fatalf("got %v, allowed is %v", err, test.allowed)
			}
			object, err := h.read(t.Context(), k.GroupVersion().WithKind(kindName), k.groupResource(), placeOf(r), made)
			if (err == nil) != test.allowed {
				t.Fatalf("stored: %v, %v", object, err)
			}
			if test.allowed && (len(object.GetFinalizers()) > 0 || len(object.GetOwnerReferences()) > 0) {
				t.Errorf("stored with finalizers or owners: %v", object.Object["metadata"])
			}
		})
	}
}

// notAdministrator may give every role and does not administer the platform.
type notAdministrator struct{ managerRights }

func (notAdministrator) Administers(context.Context, user.Info) (bool, error) { return false, nil }

// TestBindingsForEverybody: administrators of the platform alone give roles to callers
// they do not know, and of a list nothing is written when one binding is refused.
func TestBindingsForEverybody(t *testing.T) {
	for _, k := range kinds() {
		for _, test := range []struct {
			name, subjects string
			allowed        bool
		}{
			{"visitors", `{"kind":"User","name":"system:anonymous"}`, false},
			{"the group of visitors", `{"kind":"Group","name":"system:unauthenticated"}`, false},
			{"visitors behind a user", `{"kind":"User","name":"jane"},{"kind":"User","name":"system:anonymous"}`, false},
			{"all who are logged in", `{"kind":"Group","name":"system:authenticated"}`, false},
			{"all service accounts", `{"kind":"Group","name":"system:serviceaccounts"}`, false},
			{"a group", `{"kind":"Group","name":"ops"}`, true},
		} {
			for _, administrator := range []bool{false, true} {
				scheme, err := kube.Scheme()
				if err != nil {
					t.Fatal(err)
				}
				h := &Handler{Client: fake.NewClientBuilder().WithScheme(scheme).Build(), Rights: notAdministrator{managerRights{&authz.RBAC{All: true}}}}
				if administrator {
					h.Rights = &authz.RBAC{All: true}
				}
				body := `[{"metadata":{"name":"a"},"roleRef":{"name":"r"},"subjects":[{"kind":"User","name":"jane"}]},{"metadata":{"name":"b"},"roleRef":{"name":"r"},"subjects":[` + test.subjects + `]}]`
				r := httptest.NewRequest("POST", "/", strings.NewReader(body))
				switch k.Kind {
				case "WorkspaceRole":
					r.SetPathValue("workspace", "w")
				case "Role":
					r.SetPathValue("namespace", "n")
				}
				err = h.bind(k)(httptest.NewRecorder(), r.WithContext(kube.WithCaller(r.Context(), &user.DefaultInfo{Name: "manager"})))
				if (err == nil) != (test.allowed || administrator) || err != nil && status.Of(err).Code != 403 {
					t.Errorf("%s of %s, an administrator: %v: %v", test.name, k.Kind, administrator, err)
				}
				if _, stored := h.read(t.Context(), k.GroupVersion().WithKind(k.Kind+"Binding"), k.bindingGroupResource(), placeOf(r), "a"); (stored == nil) != (err == nil) {
					t.Errorf("%s of %s: the first of the list: %v", test.name, k.Kind, stored)
				}
			}
		}
	}
}
