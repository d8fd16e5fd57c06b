//go:build e2e

package e2e

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestBoundNamespaceNames: who took the name of a namespace that was gone had what its service
// accounts had been given: all of the cluster by an uninstalled chart, the secrets of another
// tenant by its pipeline.
func TestBoundNamespaceNames(t *testing.T) {
	t.Parallel()
	first, second := newPerson(t, "bn-first", "platform-regular"), newPerson(t, "bn-second", "platform-regular")
	admin, c := shared.as(t, "admin", adminPassword), kubernetes(t, "")
	newSpace(t, "bn-one", first)
	newSpace(t, "bn-two", second)
	creator := newPerson(t, "bn-creator", "platform-regular")
	create(t, c, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "bn-creator"}, Rules: []rbacv1.PolicyRule{{Verbs: []string{"create", "patch", "get"}, APIGroups: []string{""}, Resources: []string{"namespaces"}}}})
	bind := func(name, role string, subject rbacv1.Subject) {
		create(t, c, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, Subjects: []rbacv1.Subject{subject},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		})
		isKnown(t, name)
	}
	bind("bn-creator", "bn-creator", rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: creator.name})

	for name, subject := range map[string]rbacv1.Subject{
		"bn-chart": {Kind: rbacv1.ServiceAccountKind, Namespace: "bn-chart", Name: "x"},
		"bn-group": {APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:bn-group"},
		"bn-user":  {APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "system:serviceaccount:bn-user:x"},
	} {
		bind(name, "view", subject)
		for path, who := range map[string]person{tenantPath + "/workspaces/bn-two/namespaces": second, "/api/v1/namespaces": creator} {
			if r := who.call(t, "POST", path, newNamespace(name)); r.code != 409 || !strings.Contains(string(r.body), "by 1 clusterrolebindings") {
				t.Errorf("POST %s %s: %d %s", path, name, r.code, r.body)
			}
		}
		if r := creator.do(t, "PATCH", "/api/v1/namespaces/"+name+"?fieldManager=x", strings.NewReader(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+name+`"}}`),
			bearer(creator.token), header("Content-Type", "application/apply-patch+yaml")); r.code != 409 {
			t.Errorf("apply %s: %d %s", name, r.code, r.body)
		}
	}
	admin.must(t, 200, "POST", tenantPath+"/workspaces/bn-two/namespaces", newNamespace("bn-chart"))
	creator.must(t, 201, "POST", "/api/v1/namespaces", newNamespace("bn-free"))
	t.Cleanup(func() { dropped(t, "/api/v1/namespaces/bn-free") })

	// The pipeline of one tenant, whose project another one takes the name of.
	first.must(t, 200, "POST", tenantPath+"/workspaces/bn-one/namespaces", newNamespace("bn-p1"))
	first.must(t, 200, "POST", tenantPath+"/workspaces/bn-one/namespaces", newNamespace("bn-ci"))
	binding := fields{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": fields{"name": "pipeline"},
		"roleRef":  fields{"apiGroup": rbacv1.GroupName, "kind": "Role", "name": "viewer"},
		"subjects": []fields{{"kind": "ServiceAccount", "namespace": "bn-ci", "name": "deployer"}},
	}
	first.must(t, 201, "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/bn-p1/rolebindings", binding)
	const pods = "/api/v1/namespaces/bn-p1/pods"
	answers(t, "GET", pods, serviceAccountToken(t, "bn-ci", "deployer"), 200)
	first.must(t, 200, "DELETE", tenantPath+"/workspaces/bn-one/namespaces/bn-ci", nil)
	wait.For(t, "the project to be gone", func() error {
		err := c.Get(t.Context(), client.ObjectKey{Name: "bn-ci"}, &corev1.Namespace{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(errors.New("it is there"), err)
	})
	if r := creator.call(t, "POST", "/api/v1/namespaces", newNamespace("bn-ci")); r.code != 409 {
		t.Errorf("in Kubernetes: %d %s", r.code, r.body)
	}
	second.must(t, 200, "POST", tenantPath+"/workspaces/bn-two/namespaces", newNamespace("bn-ci"))
	answers(t, "GET", pods, serviceAccountToken(t, "bn-ci", "deployer"), 403)
}
