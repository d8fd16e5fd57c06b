//go:build e2e

package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// What is written with kubectl is brought into the same state (ks#2477, ks#3920).
func TestReconciled(t *testing.T) {
	t.Parallel()
	c := kubernetes(t, "")
	path := t.TempDir() + "/objects.yaml"
	writeFile(t, path, `
apiVersion: iam.kubesphere.io/v1alpha2
kind: User
metadata: {name: by-kubectl}
spec: {email: by-kubectl@example.com, password: Plain-Passw0rd}
---
apiVersion: tenant.kubesphere.io/v1alpha2
kind: WorkspaceTemplate
metadata: {name: by-kubectl}
spec: {template: {spec: {manager: by-kubectl}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: by-kubectl, labels: {kubesphere.io/workspace: by-kubectl}, annotations: {kubesphere.io/creator: by-kubectl}}
---
apiVersion: iam.kubesphere.io/v1alpha2
kind: Group
metadata: {name: by-kubectl, labels: {kubesphere.io/workspace: by-kubectl}}
---
apiVersion: iam.kubesphere.io/v1alpha2
kind: GroupBinding
metadata: {name: by-kubectl, labels: {kubesphere.io/workspace: by-kubectl}}
groupRef: {apiGroup: iam.kubesphere.io, kind: Group, name: by-kubectl}
users: [by-kubectl]
---
apiVersion: iam.kubesphere.io/v1alpha2
kind: GlobalRoleBinding
metadata: {name: by-kubectl}
roleRef: {apiGroup: iam.kubesphere.io, kind: GlobalRole, name: platform-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: by-kubectl}]
`)
	if output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", "apply", "-f", path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	wait.For(t, "the user to be reconciled", func() error {
		user := &iamv1alpha2.User{}
		if err := c.Get(t.Context(), clientKey("by-kubectl"), user); err != nil {
			return err
		}
		if !strings.HasPrefix(user.Spec.EncryptedPassword, "$2a$") || user.Status.State != iamv1alpha2.UserActive || len(user.Spec.Groups) != 1 {
			return fmt.Errorf("%+v", user)
		}
		for key, value := range user.Annotations {
			if strings.Contains(value, "Plain-Passw0rd") {
				return fmt.Errorf("the password is in annotation %s", key)
			}
		}
		for _, object := range []client.Object{&iamv1alpha2.WorkspaceRoleBinding{}, &iamv1alpha2.WorkspaceRole{}} {
			if err := c.Get(t.Context(), clientKey("by-kubectl-admin"), object); err != nil {
				return err
			}
		}
		if err := c.Get(t.Context(), clientKey("by-kubectl"), &tenantv1alpha1.Workspace{}); err != nil {
			return err
		}
		for name, object := range map[string]client.Object{"by-kubectl-admin": &rbacv1.RoleBinding{}, "viewer": &rbacv1.Role{}} {
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "by-kubectl", Name: name}, object); err != nil {
				return err
			}
		}
		return nil
	})
	// Roles of members that are deleted come back, also when they were unmarked before.
	change(t, c, &rbacv1.Role{}, client.ObjectKey{Namespace: "by-kubectl", Name: "viewer"}, func(r *rbacv1.Role) { r.Annotations = nil })
	for _, name := range []string{"admin", "viewer"} {
		role := &rbacv1.Role{}
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "by-kubectl", Name: name}, role); err != nil {
			t.Fatal(err)
		}
		deleted := role.UID
		if err := c.Delete(t.Context(), role); err != nil {
			t.Fatal(err)
		}
		wait.For(t, "the role "+name+" to come back", func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil || role.UID == deleted || role.Annotations["kubesphere.io/creator"] != "system" {
				return fmt.Errorf("it is %+v, %w", role.ObjectMeta, err)
			}
			return nil
		})
	}
	// Earlier versions made administrators of the platform those of Kubernetes, too.
	create(t, c, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "by-kubectl-cluster-admin", Labels: map[string]string{
			"iam.kubesphere.io/user-ref": "by-kubectl", "iam.kubesphere.io/globalrole-ref": "platform-admin", "app.kubernetes.io/managed-by": "ks-apiserver",
		}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}, Subjects: []rbacv1.Subject{subjectUser("by-kubectl")},
	})
	shared.as(t, "by-kubectl", "Plain-Passw0rd")
	if output, err := exec.CommandContext(t.Context(), "../../bin/kubectl", "delete", "-f", path, "--ignore-not-found", "--wait=true", "--timeout=60s").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	wait.For(t, "the workspace's roles to go", func() error {
		for _, object := range []client.Object{&iamv1alpha2.WorkspaceRoleBinding{}, &iamv1alpha2.WorkspaceRole{}} {
			if err := c.Get(t.Context(), clientKey("by-kubectl-admin"), object); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%T: %w", object, err)
			}
		}
		if err := c.Get(t.Context(), clientKey("by-kubectl-cluster-admin"), &rbacv1.ClusterRoleBinding{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the binding to cluster-admin: %w", err)
		}
		return nil
	})
}
