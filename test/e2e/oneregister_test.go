//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
)

// reasonOf returns the code and the reason of an answer.
func reasonOf(r reply) string {
	for _, reason := range []string{"Forbidden", "Invalid", "Conflict", "AlreadyExists"} {
		if strings.Contains(string(r.body), `"reason":"`+reason+`"`) {
			return fmt.Sprint(r.code, " ", reason)
		}
	}
	return fmt.Sprint(r.code)
}

// TestOneRegister: the register of names, with those of the configuration, is the same
// at /kapis and at /api, and the answer says the reason.
func TestOneRegister(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "reg-owner", "platform-regular")
	provisioner := newPerson(t, "reg-prov", "platform-self-provisioner")
	newSpace(t, "reg-space", owner)
	i := run(t, func(c *config.Config) {
		c.Terminal.Kubectl.Namespace = "reg-shells"
		c.Authorization.ReservedNamespaces = []string{"reg-istio-system", "reg-addon-*", "*-reg-operators"}
		c.Authorization.ReservedWorkspaces = []string{"default"}
		c.Authorization.ReservedNamespaceLabels = []string{"admission.gatekeeper.sh/ignore"}
		c.Authorization.ReservedNamespaceAnnotations = []string{"policy.example.com/*"}
	})
	if err := i.waitReady(time.Minute); err != nil {
		t.Fatal(err)
	}
	admin := i.as(t, "admin", adminPassword)
	owner, provisioner = i.as(t, "reg-owner", passwordOf("reg-owner")), i.as(t, "reg-prov", passwordOf("reg-prov"))
	projects := tenantPath + "/workspaces/reg-space/namespaces"
	named := func(name string) string { return fmt.Sprintf(`{"metadata":{"name":%q}}`, name) }
	for _, name := range []string{"default", "kube-reg", "kubesphere", "kubesphere-reg", "istio-system", "reg-shells", "reg-istio-system", "reg-addon-1", "x-reg-operators"} {
		for _, path := range []string{projects, "/api/v1/namespaces"} {
			if got := reasonOf(i.send(t, "POST", path, owner.token, named(name))); got != "403 Forbidden" {
				t.Errorf("POST %s %s: %s", path, name, got)
			}
		}
	}
	answer := i.send(t, "POST", projects, owner.token, named("reg-addon-1"))
	if !strings.Contains(string(answer.body), "reserved for components of this installation") || !strings.Contains(string(answer.body), "all rights in the cluster") {
		t.Errorf("the reason: %s", answer.body)
	}
	for _, name := range []string{"default", "system-workspace", "platform", "kubesphere-reg"} {
		for _, path := range []string{tenantPath + "/workspaces", "/apis/tenant.kubesphere.io/v1alpha2/workspacetemplates"} {
			body := fmt.Sprintf(`{"apiVersion":"tenant.kubesphere.io/v1alpha2","kind":"WorkspaceTemplate","metadata":{"name":%q},"spec":{"template":{"spec":{}}}}`, name)
			if got := reasonOf(i.send(t, "POST", path, provisioner.token, body)); got != "403 Forbidden" {
				t.Errorf("POST %s %s: %s", path, name, got)
			}
		}
	}
	for _, name := range []string{"pre-registration", "root"} {
		if got := reasonOf(i.send(t, "POST", iamPath+"/workspaces/reg-space/groups", owner.token, named(name))); got != "403 Forbidden" {
			t.Errorf("a group %s: %s", name, got)
		}
	}
	// Holders of the right have the name, with one answer as well.
	if r := i.send(t, "POST", "/api/v1/namespaces", admin.token, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"reg-addon-admins"}}`); r.code != 201 {
		t.Errorf("an administrator: %d %s", r.code, r.body)
	}
	t.Cleanup(func() { dropped(t, "/api/v1/namespaces/reg-addon-admins") })

	// What gives a namespace more than its members have is not for them to set.
	if r := i.send(t, "POST", projects, owner.token, named("reg-project")); r.code != 200 {
		t.Fatalf("a project: %d %s", r.code, r.body)
	}
	for _, metadata := range []string{
		`"labels":{"resource.kubernetes.io/admin-access":"true"}`, `"labels":{"pod-security.kubernetes.io/enforce":"privileged"}`,
		`"labels":{"admission.gatekeeper.sh/ignore":"yes"}`, `"annotations":{"policy.example.com/exempt":"yes"}`,
		`"annotations":{"scheduler.alpha.kubernetes.io/node-selector":"a=b"}`, `"annotations":{"scheduler.alpha.kubernetes.io/defaultTolerations":"[]"}`,
	} {
		for _, path := range []string{projects + "/reg-project", "/api/v1/namespaces/reg-project"} {
			r := owner.do(t, "PATCH", path, strings.NewReader(`{"metadata":{`+metadata+`}}`), bearer(owner.token), header("Content-Type", "application/merge-patch+json"))
			if got := reasonOf(r); got != "403 Forbidden" {
				t.Errorf("PATCH %s %s: %s %.300s", path, metadata, got, r.body)
			}
		}
	}
	patched := owner.do(t, "PATCH", projects+"/reg-project", strings.NewReader(`{"metadata":{"labels":{"istio-injection":"enabled"}}}`), bearer(owner.token), header("Content-Type", "application/merge-patch+json"))
	if patched.code != 200 {
		t.Errorf("a label that is not reserved: %d %s", patched.code, patched.body)
	}
}

// TestDeletedCollections: a collection is deleted by users who may delete each of its
// objects by its name.
func TestDeletedCollections(t *testing.T) {
	t.Parallel()
	owner := newPerson(t, "coll-owner", "platform-regular")
	member := newPerson(t, "coll-member", "platform-regular")
	newSpace(t, "coll-space", owner)
	owner.must(t, 200, "POST", tenantPath+"/workspaces/coll-space/namespaces", newNamespace("coll-project"))
	owner.must(t, 200, "POST", iamPath+"/namespaces/coll-project/members", []any{map[string]string{"username": member.name, "roleRef": "viewer"}})
	rbac := "/apis/rbac.authorization.k8s.io/v1/namespaces/coll-project/"
	roles, bindings := rbac+"roles", rbac+"rolebindings"
	kube := kubernetes(t, "")
	label := map[string]string{"coll": "mine"}
	for _, object := range []client.Object{
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "coll-project", Name: "coll-a", Labels: label}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "coll-project", Name: "coll-b", Labels: label}},
		&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "coll-project", Name: "kubesphere:coll", Labels: map[string]string{"coll": "server"}}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "coll-project", Name: "kubesphere:coll", Labels: map[string]string{"coll": "server"}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "kubesphere:coll"}, Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "coll-nobody"}},
		},
	} {
		if err := kube.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name, path string
		code       int
	}{
		{"all roles, with those of the platform", roles, 403},
		{"one of them by its name", roles + "/operator", 403},
		{"one of them by a selector", roles + "?fieldSelector=metadata.name%3Doperator", 403},
		{"without their dependents", roles + "?propagationPolicy=Orphan", 403},
		{"to see what would happen", roles + "?dryRun=All", 403},
		{"a role of the server", roles + "?labelSelector=coll%3Dserver", 403},
		{"a role of the server by its name", roles + "/kubesphere:coll", 403},
		{"a binding of the server", bindings + "?labelSelector=coll%3Dserver", 403},
		{"a binding of the server by its name", bindings + "/kubesphere:coll", 403},
		{"all bindings", bindings, 403},
		{"own roles, to see what would happen", roles + "?labelSelector=coll%3Dmine&dryRun=All", 200},
		{"own roles", roles + "?labelSelector=coll%3Dmine", 200},
		{"none", roles + "?labelSelector=coll%3Dnone", 200},
	} {
		if r := shared.send(t, "DELETE", test.path, owner.token, ""); r.code != test.code {
			t.Errorf("%s: DELETE %s: %d %.300s, want %d", test.name, test.path, r.code, r.body, test.code)
		}
	}
	left := &rbacv1.RoleList{}
	if err := kube.List(t.Context(), left, client.InNamespace("coll-project")); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for n := range left.Items {
		names[left.Items[n].Name] = true
	}
	for name, want := range map[string]bool{"admin": true, "operator": true, "viewer": true, "kubesphere:coll": true, "coll-a": false, "coll-b": false} {
		if names[name] != want {
			t.Errorf("role %s is there: %v", name, names[name])
		}
	}
}

// TestComponentWrites: roles with all rights in a scope do not write what only
// components of the cluster write.
func TestComponentWrites(t *testing.T) {
	t.Parallel()
	operator := newPerson(t, "comp-cluster", "platform-regular")
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "comp-cluster"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: operator.name}},
	}
	kube := kubernetes(t, "")
	if err := kube.Create(t.Context(), binding); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dropped(t, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/comp-cluster") })
	isKnown(t, "comp-cluster")
	nodes := &corev1.NodeList{}
	if err := kube.List(t.Context(), nodes); err != nil || len(nodes.Items) == 0 {
		t.Fatal(err, len(nodes.Items))
	}
	node := "/api/v1/nodes/" + nodes.Items[0].Name
	for _, test := range []struct {
		method, path string
		code         int
	}{
		{"GET", node + "/status", 200}, {"PATCH", node + "/status", 403}, {"PATCH", node, 200},
		{"PATCH", "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps/status", 403},
		{"PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/comp.example.com/status", 403},
		{"PATCH", "/apis/networking.k8s.io/v1/ipaddresses/10.0.0.1", 403}, {"GET", "/apis/networking.k8s.io/v1/ipaddresses", 200},
		{"PATCH", "/apis/storage.k8s.io/v1/csinodes/comp", 403}, {"PATCH", "/apis/storage.k8s.io/v1/volumeattachments/comp/status", 403},
		{"DELETE", "/api/v1/namespaces/default/secrets/comp?ignoreStoreReadErrorWithClusterBreakingPotential=true", 403},
		{"DELETE", "/api/v1/namespaces/default/secrets/comp", 404},
	} {
		r := operator.do(t, test.method, test.path, strings.NewReader(`{}`), bearer(operator.token), header("Content-Type", "application/merge-patch+json"))
		if test.method != http.MethodPatch {
			r = shared.send(t, test.method, test.path, operator.token, "")
		}
		if r.code != test.code {
			t.Errorf("%s %s: %d %.300s, want %d", test.method, test.path, r.code, r.body, test.code)
		}
	}
	r := operator.do(t, "DELETE", "/api/v1/namespaces/default/secrets/comp", strings.NewReader(`{"ignoreStoreReadErrorWithClusterBreakingPotential":true}`), bearer(operator.token), header("Content-Type", "application/json"))
	if r.code != 403 {
		t.Errorf("a deletion that ignores read errors, in the body: %d %.300s", r.code, r.body)
	}
}
