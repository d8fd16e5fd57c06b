//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// createKept creates an object that stays when it is deleted, until the test ends.
func createKept(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	object.SetFinalizers([]string{"example.com/keep"})
	create(t, c, object)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))
		if err := c.Patch(ctx, object, patch); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

// TestRevokedForGood: a role whose binding, or which itself, has a finalizer was in force
// after it had been taken away.
func TestRevokedForGood(t *testing.T) {
	t.Parallel()
	workspace(t, "rv-space")
	c, admin := kubernetes(t, ""), shared.login(t).AccessToken
	boss, lower, guest, operator, chief, other := user(t, "rv-boss"), user(t, "rv-lower"), user(t, "rv-guest"), user(t, "rv-operator"), user(t, "rv-chief"), user(t, "rv-other")
	for _, name := range []string{"rv-boss", "rv-lower", "rv-guest"} {
		inWorkspace(t, name, "rv-space", "regular")
	}
	const namespace = "rv-space-project"
	inNamespace(t, "rv-boss", namespace, "admin")
	const (
		bindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/rolebindings"
		secrets  = "/api/v1/namespaces/" + namespace + "/secrets"
		project  = iamAPI + "/namespaces/" + namespace
		mine     = `{"metadata":{"name":"rv-mine","finalizers":["example.com/keep"]},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"admin"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"rv-boss"}]}`
	)
	answers(t, "GET", secrets, boss, 200)
	attempts(t, []attempt{
		{"a binding that stays", boss, "POST", bindings, mine, nil, 403},
		{"the own one from now on", boss, "PATCH", bindings + "/rv-boss-admin", `{"metadata":{"finalizers":["example.com/keep"]}}`, media(merge), 403},
	})
	// Patches are bound to the version that was looked at, which is nothing to their senders.
	const (
		roles   = "/apis/rbac.authorization.k8s.io/v1/namespaces/" + namespace + "/roles/rv-applied?fieldManager="
		applied = `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"rv-applied"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["RESOURCE"]}]}`
		apply   = "application/apply-patch+yaml"
	)
	pods, services := strings.Replace(applied, "RESOURCE", "pods", 1), strings.Replace(applied, "RESOURCE", "services", 1)
	attempts(t, []attempt{
		{"applies a role", boss, "PATCH", roles + "a", pods, media(apply), 201},
		{"applies it again", boss, "PATCH", roles + "a", services, media(apply), 200},
		{"applies it as another manager", boss, "PATCH", roles + "b", pods, media(apply), 409},
		{"by force", boss, "PATCH", roles + "b&force=true", pods, media(apply), 200},
		{"merges it", boss, "PATCH", roles + "b", `{"metadata":{"labels":{"a":"b"}}}`, media("application/strategic-merge-patch+json"), 200},
		{"writes a Secret", boss, "POST", secrets, `{"metadata":{"name":"rv"},"stringData":{"a":"b"}}`, nil, 201},
		{"patches it", boss, "PATCH", secrets + "/rv", `{"data":{"a":null}}`, media(merge), 200},
		{"of a version before", boss, "PATCH", secrets + "/rv", `{"metadata":{"resourceVersion":"1"},"data":{"a":null}}`, media(merge), 409},
		{"deletes it", boss, "DELETE", strings.TrimSuffix(roles, "?fieldManager="), "", nil, 200},
	})
	// A service account with the right to bind writes them past the server.
	bind := func(user string, role rbacv1.RoleRef) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: user + "-kept"}, RoleRef: role, Subjects: []rbacv1.Subject{subjectUser(user)}}
	}
	ref := func(kind, name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
	}
	createKept(t, c, bind("rv-boss", ref("Role", "admin")))
	createKept(t, c, bind("rv-lower", ref("Role", "admin")))
	createKept(t, c, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "rv-reader"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get", "list"}, APIGroups: []string{""}, Resources: []string{"secrets"}}},
	})
	inNamespace(t, "rv-guest", namespace, "rv-reader")
	createKept(t, c, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "rv-operator-kept"}, RoleRef: ref("ClusterRole", "cluster-viewer"), Subjects: []rbacv1.Subject{subjectUser("rv-operator")}})
	createKept(t, c, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "rv-chief-kept"}, RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "GlobalRole", Name: "platform-admin"},
		Subjects: []rbacv1.Subject{subjectUser("rv-chief")},
	})
	createKept(t, c, bind("rv-other", ref("Role", "admin")))
	createKept(t, c, &iamv1alpha2.GlobalRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "rv-other-kept"}, RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "GlobalRole", Name: "platform-admin"},
		Subjects: []rbacv1.Subject{subjectUser("rv-other")},
	})
	answers(t, "GET", signingKeys, other, 200)
	for _, token := range []string{lower, guest} {
		answers(t, "GET", secrets, token, 200)
	}
	answers(t, "GET", "/api/v1/nodes", operator, 200)
	answers(t, "GET", signingKeys, chief, 200)
	const regular = `{"metadata":{"name":"rv-chief","annotations":{"iam.kubesphere.io/globalrole":"platform-regular"}},"spec":{"email":"rv-chief@example.com"}}`
	attempts(t, []attempt{
		{"removes the administrator", admin, "DELETE", project + "/members/rv-boss", "", nil, 200},
		{"who is none now", boss, "GET", secrets, "", nil, 403},
		{"gives another a lower role", admin, "PUT", project + "/members/rv-lower", `{"username":"rv-lower","roleRef":"viewer"}`, nil, 200},
		{"which is in force", lower, "POST", "/api/v1/namespaces/" + namespace + "/configmaps", `{"metadata":{"name":"rv"}}`, nil, 403},
		{"deletes a role", admin, "DELETE", project + "/roles/rv-reader", "", nil, 200},
		{"which gives nothing now", guest, "GET", secrets, "", nil, 403},
		{"removes the operator", admin, "DELETE", iamAPI + "/clustermembers/rv-operator", "", nil, 200},
		{"who sees no nodes now", operator, "GET", "/api/v1/nodes", "", nil, 403},
		{"makes the chief a regular user", admin, "PUT", iamAPI + "/users/rv-chief", regular, nil, 200},
		{"who reads no keys now", chief, "GET", signingKeys, "", nil, 403},
		{"deletes a binding of the platform", admin, "DELETE", "/apis/iam.kubesphere.io/v1alpha2/globalrolebindings/rv-other-kept", "", nil, 200},
		{"and one of the project", admin, "DELETE", bindings + "/rv-other-kept", "", nil, 200},
		{"which give nothing now", other, "GET", secrets, "", nil, 403},
		{"gives the administrator the role again", admin, "POST", project + "/members", `[{"username":"rv-boss","roleRef":"admin"}]`, nil, 200},
		{"who has it by a binding that stays as long", boss, "GET", secrets, "", nil, 200},
		{"deletes the user", admin, "DELETE", iamAPI + "/users/rv-boss", "", nil, 200},
	})
	// Kubernetes knows users by their names alone.
	for _, user := range []string{"rv-boss", "rv-guest"} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user, ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: "list", Resource: "secrets"},
		}}
		if err := c.Create(t.Context(), review); err != nil || review.Status.Allowed {
			t.Errorf("at Kubernetes %s reads secrets: %v, %v", user, review.Status, err)
		}
	}
}
