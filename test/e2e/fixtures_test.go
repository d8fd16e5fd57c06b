//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// A test owns what it makes: the names are its own, and what it makes with these
// functions goes with it. Deleted namespaces take many seconds to go, so that these
// are waited for when a name is used again and after the last test.

// change changes an object that is there, which reconcilers may write at the same time.
func change[T client.Object](t *testing.T, c client.Client, object T, key client.ObjectKey, apply func(T)) {
	t.Helper()
	wait.For(t, fmt.Sprintf("%T %s to be changed", object, key), func() error {
		if err := c.Get(t.Context(), key, object); err != nil {
			return err
		}
		apply(object)
		return c.Update(t.Context(), object)
	})
}

// create makes an object that is deleted, and gone, at the end of the test.
func create(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	wait.For(t, fmt.Sprintf("an earlier %T %s to be gone", object, object.GetName()), func() error {
		err := c.Create(t.Context(), object)
		if !apierrors.IsAlreadyExists(err) {
			if err != nil {
				t.Fatal(err)
			}
			return nil
		}
		existing := object.DeepCopyObject().(client.Object)
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), existing); err != nil {
			return err
		}
		if existing.GetDeletionTimestamp() != nil {
			return fmt.Errorf("it is being deleted since %s", existing.GetDeletionTimestamp())
		}
		return nil
	})
	t.Cleanup(func() { remove(t, c, object) })
}

// remove deletes an object and waits until it is gone, unless it is a namespace.
func remove(t *testing.T, c client.Client, object client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	_, isNamespace := object.(*corev1.Namespace)
	wait.For(t, fmt.Sprintf("%T %s/%s to be gone", object, object.GetNamespace(), object.GetName()), func() error {
		err := c.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground))
		switch {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err), err == nil && isNamespace:
			return nil
		case err != nil:
			return err
		}
		return fmt.Errorf("it is being deleted")
	})
}

// waitForTerminatingNamespaces waits until the namespaces that were deleted are
// gone.
func waitForTerminatingNamespaces(kubeconfig string) error {
	rest, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	c, err := kube.NewClient(rest)
	if err != nil {
		return err
	}
	return wait.Poll(3*time.Minute, func() error {
		namespaces := &corev1.NamespaceList{}
		if err := c.List(context.Background(), namespaces); err != nil {
			return err
		}
		for n := range namespaces.Items {
			if namespace := &namespaces.Items[n]; namespace.DeletionTimestamp != nil {
				return fmt.Errorf("the namespace %s was deleted at %s and is still there: %+v", namespace.Name, namespace.DeletionTimestamp, namespace.Status)
			}
		}
		return nil
	})
}

// user makes a user without any role and returns a token.
func user(t *testing.T, name string) string {
	t.Helper()
	return shared.user(t, name)
}

func (i *instance) user(t *testing.T, name string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte("secret-"+name), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	create(t, kubernetes(t, i.kubeconfig), &iamv1alpha2.User{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       iamv1alpha2.UserSpec{Email: name + "@example.com", EncryptedPassword: string(hash)},
		Status:     iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive},
	})
	r := i.token(t, passwordForm(name, "secret-"+name))
	if r.code != 200 {
		t.Fatalf("login of %s: %d %s", name, r.code, r.body)
	}
	return decode[tokens](t, r).AccessToken
}

// workspace makes the roles of a workspace and one namespace in it, with its
// roles, of the role bases every cluster has.
func workspace(t *testing.T, name string) {
	t.Helper()
	shared.workspace(t, name)
}

func (i *instance) workspace(t *testing.T, name string) {
	t.Helper()
	c := kubernetes(t, i.kubeconfig)
	var bases iamv1alpha2.RoleBaseList
	if err := c.List(t.Context(), &bases); err != nil {
		t.Fatal(err)
	}
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name + "-project", Labels: map[string]string{"kubesphere.io/workspace": name}}})
	for n := range bases.Items {
		base := &bases.Items[n]
		switch {
		case strings.HasPrefix(base.Name, "workspace-"):
			role := &iamv1alpha2.WorkspaceRole{}
			if err := json.Unmarshal(base.Role.Raw, role); err != nil {
				t.Fatal(err)
			}
			role.Name = name + "-" + strings.TrimPrefix(role.Name, "workspace-")
			role.Labels = map[string]string{"kubesphere.io/workspace": name}
			create(t, c, role)
		case strings.HasPrefix(base.Name, "project-"):
			role := &rbacv1.Role{}
			if err := json.Unmarshal(base.Role.Raw, role); err != nil {
				t.Fatal(err)
			}
			role.Name, role.Namespace = strings.TrimPrefix(role.Name, "project-"), name+"-project"
			create(t, c, role)
		}
	}
}

// inWorkspace gives a user a role of a workspace.
func inWorkspace(t *testing.T, name, workspace, role string) {
	t.Helper()
	create(t, kubernetes(t, ""), &iamv1alpha2.WorkspaceRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + workspace, Labels: map[string]string{"kubesphere.io/workspace": workspace}},
		RoleRef:    rbacv1.RoleRef{APIGroup: "iam.kubesphere.io", Kind: "WorkspaceRole", Name: workspace + "-" + role}, Subjects: []rbacv1.Subject{subjectUser(name)},
	})
}

// inNamespace gives a user a role of a namespace.
func inNamespace(t *testing.T, name, namespace, role string) {
	t.Helper()
	shared.inNamespace(t, name, namespace, role)
}

func (i *instance) inNamespace(t *testing.T, name, namespace, role string) {
	t.Helper()
	create(t, kubernetes(t, i.kubeconfig), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + role, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role}, Subjects: []rbacv1.Subject{subjectUser(name)},
	})
}

func (i *instance) send(t *testing.T, method, path, token, body string, options ...option) reply {
	t.Helper()
	return i.do(t, method, path, strings.NewReader(body), append([]option{bearer(token), header("Content-Type", "application/json")}, options...)...)
}

// answers asks until the code is the wanted one: rights that were given behind
// the server's back take a moment to be in force.
func answers(t *testing.T, method, path, token string, code int) {
	t.Helper()
	shared.answers(t, method, path, token, code)
}

func (i *instance) answers(t *testing.T, method, path, token string, code int) {
	t.Helper()
	wait.For(t, fmt.Sprintf("%s %s to answer %d", method, path, code), func() error {
		return expect(i.send(t, method, path, token, ""), code)
	})
}
