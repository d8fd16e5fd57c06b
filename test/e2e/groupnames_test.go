//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestExternalGroups: a workspace took a group of an identity provider away from the users
// who have it, by creating a group of its name.
func TestExternalGroups(t *testing.T) {
	t.Parallel()
	const name = "gn-corp-finance"
	wadmin, john, reg := newPerson(t, "gn-wadmin", "platform-regular"), newPerson(t, "gn-john", "platform-regular"), newPerson(t, "gn-reg", "platform-regular")
	newSpace(t, "gn-w1", wadmin)
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	change(t, c, &iamv1alpha2.User{}, clientKey(reg.name), func(u *iamv1alpha2.User) { u.Spec.Groups = []string{name} })
	has := func(user string) bool {
		found := &iamv1alpha2.User{}
		if err := c.Get(t.Context(), clientKey(user), found); err != nil {
			t.Fatal(err)
		}
		return slices.Contains(found.Spec.Groups, name)
	}
	// The reconcilers run within two seconds of a change.
	keeps := func(what string) {
		t.Helper()
		for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if !has(reg.name) {
				t.Fatalf("%s: the user lost the group", what)
			}
		}
		claimed := decode[struct{ Groups []string }](t, reg.must(t, 200, "GET", "/oauth/userinfo", nil)).Groups
		if !slices.Contains(claimed, name) {
			t.Errorf("%s: applications see %q", what, claimed)
		}
	}
	const groups = iamPath + "/workspaces/gn-w1/groups"
	wanted := fields{"metadata": fields{"name": name}}
	for path, code := range map[string]int{groups: 409, groups + "?confirmBindings=true": 403} {
		if r := wadmin.call(t, "POST", path, wanted); r.code != code || strings.Contains(string(r.body), reg.name) {
			t.Errorf("%s: %d %s", path, r.code, r.body)
		}
	}
	direct := fields{"apiVersion": "iam.kubesphere.io/v1alpha2", "kind": "Group", "metadata": fields{"name": name, "labels": fields{"kubesphere.io/workspace": "gn-w1"}}}
	const kubernetesGroups = "/apis/iam.kubesphere.io/v1alpha2/groups"
	wadmin.must(t, 403, "POST", kubernetesGroups+"?confirmBindings=true", direct)
	keeps("refused")

	deleted := func() {
		t.Helper()
		wadmin.must(t, 200, "DELETE", groups+"/"+name, nil)
		wait.For(t, "the group to be gone", func() error {
			if err := c.Get(t.Context(), clientKey(name), &iamv1alpha2.Group{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("it is there: %v", err)
			}
			return nil
		})
	}
	if r := admin.call(t, "POST", groups, wanted); r.code != 409 || !strings.Contains(string(r.body), "users "+reg.name) {
		t.Errorf("by the administrator: %d %s", r.code, r.body)
	}
	admin.must(t, 200, "POST", groups+"?confirmBindings=true", wanted)
	keeps("created")
	for _, user := range []string{reg.name, john.name} {
		joined := decode[[]iamv1alpha2.GroupBinding](t, wadmin.must(t, 200, "POST", iamPath+"/workspaces/gn-w1/groupbindings", []fields{{"userName": user, "groupName": name}}))
		if len(joined) != 1 || !has(user) {
			t.Fatalf("%s joined: %+v", user, joined)
		}
		if user == reg.name {
			wadmin.must(t, 200, "DELETE", iamPath+"/workspaces/gn-w1/groupbindings/"+joined[0].Name, nil)
		}
	}
	keeps("joined and left")
	deleted()
	keeps("deleted")
	if has(john.name) {
		t.Error("who joined the group has it after its deletion")
	}

	admin.must(t, 201, "POST", kubernetesGroups, direct)
	keeps("created in Kubernetes")
	deleted()
	keeps("deleted again")
}

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

// TestBoundNamesOfKubernetes: whoever created a group or user deleted the bindings that an
// administrator of Kubernetes gave the one of that name of an OIDC or certificate authority,
// in a namespace of no workspace.
func TestBoundNamesOfKubernetes(t *testing.T) {
	t.Parallel()
	wadmin := newPerson(t, "gn-oidc-wadmin", "platform-regular")
	newSpace(t, "gn-oidc-w1", wadmin)
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "gn-oidc-billing"}})
	const groups = iamPath + "/workspaces/gn-oidc-w1/groups"
	for kind, post := range map[string]func(name string) reply{
		rbacv1.GroupKind: func(name string) reply {
			return wadmin.call(t, "POST", groups, fields{"metadata": fields{"name": name}})
		},
		rbacv1.UserKind: func(name string) reply { return admin.call(t, "POST", iamPath+"/users", newUser(name, "")) },
	} {
		name := "gn-oidc-" + strings.ToLower(kind)
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "gn-oidc-billing", Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}},
		}
		create(t, c, binding)
		if r := post(name); r.code != 409 {
			t.Errorf("%s: %d %s", kind, r.code, r.body)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || len(binding.Subjects) != 1 {
			t.Errorf("%s: left are %+v, %v", kind, binding.Subjects, err)
		}
	}
}
