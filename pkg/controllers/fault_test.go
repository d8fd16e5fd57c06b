package controllers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// cluster is a Kubernetes with the objects it starts with.
func cluster(t *testing.T, objects ...client.Object) client.WithWatch {
	t.Helper()
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...)
	for _, object := range []client.Object{&iamv1alpha2.GlobalRoleBinding{}, &iamv1alpha2.GroupBinding{}, &iamv1alpha2.LoginRecord{}} {
		builder.WithIndex(object, byUser, boundUsers)
	}
	return builder.Build()
}

var errDead = errors.New("the process was killed")

// dying is a client of a process that is killed at its n-th write: neither that
// nor any later one happens. It counts the writes that were asked for.
func dying(c client.WithWatch, n int, asked *int) client.Client {
	write := func(do func() error) error {
		if *asked++; *asked >= n {
			return errDead
		}
		return do()
	}
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			return write(func() error { return c.Create(ctx, o, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			return write(func() error { return c.Update(ctx, o, options...) })
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, patch client.Patch, options ...client.PatchOption) error {
			return write(func() error { return c.Patch(ctx, o, patch, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			return write(func() error { return c.Delete(ctx, o, options...) })
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteAllOfOption) error {
			return write(func() error { return c.DeleteAllOf(ctx, o, options...) })
		},
	})
}

type emails struct{}

func (emails) WithEmail(context.Context, string) ([]string, error) { return nil, nil }

// domains are what handlers use, over a client.
func domains(c client.Client) (*iam.Users, *tenant.Workspaces) {
	sessions := &session.Sessions{Client: c, Now: time.Now, Random: rand.Reader}
	return &iam.Users{Client: c, Bindings: &iam.Bindings{Client: c}, Sessions: sessions, Emails: emails{}, Passwords: iam.Passwords{Policy: identity.NewPolicy(8, 72)}, Now: time.Now}, &tenant.Workspaces{Client: c}
}

// restart runs the reconcilers over everything there is, again and again, as a
// new process does, a while later.
func restart(t *testing.T, c client.WithWatch) {
	t.Helper()
	later := func() time.Time { return time.Now().Add(2 * interrupted) }
	accounts, spaces := domains(c)
	all := []struct {
		list client.ObjectList
		reconcile.Reconciler
	}{
		{&iamv1alpha2.UserList{}, &users{client: c, live: c, users: accounts, now: later}},
		{&iamv1alpha2.GlobalRoleBindingList{}, &leftovers{client: c, live: c, now: later}},
		{&iamv1alpha2.GroupList{}, &groups{client: c, groups: &iam.Groups{Client: c, Bindings: accounts.Bindings}}},
		{&tenantv1alpha2.WorkspaceTemplateList{}, &workspaces{client: c, ensure: spaces, finish: spaces}},
		{&corev1.NamespaceList{}, &projects{client: c, live: c, ensure: &tenant.Projects{Client: c, Bindings: accounts.Bindings, Now: later}}},
	}
	for range 3 {
		for _, one := range all {
			for _, name := range namesOf(t, c, one.list) {
				if _, err := one.Reconcile(t.Context(), named(name)[0]); err != nil {
					t.Fatalf("%T %s: %v", one.Reconciler, name, err)
				}
			}
		}
	}
}

func namesOf(t *testing.T, c client.Client, list client.ObjectList) []string {
	t.Helper()
	if err := c.List(t.Context(), list); err != nil {
		t.Fatal(err)
	}
	encoded, err := runtime.DefaultUnstructuredConverter.ToUnstructured(list)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	items, _ := encoded["items"].([]any)
	for _, item := range items {
		names = append(names, item.(map[string]any)["metadata"].(map[string]any)["name"].(string))
	}
	return names
}

// about are all objects that name somebody or something, to see what is left.
func about(t *testing.T, c client.Client, name string) []string {
	t.Helper()
	var found []string
	for _, list := range []client.ObjectList{
		&iamv1alpha2.UserList{}, &iamv1alpha2.GlobalRoleBindingList{}, &iamv1alpha2.WorkspaceRoleBindingList{}, &iamv1alpha2.WorkspaceRoleList{},
		&rbacv1.RoleBindingList{}, &rbacv1.ClusterRoleBindingList{}, &iamv1alpha2.SessionList{}, &iamv1alpha2.LoginRecordList{}, &iamv1alpha2.GroupBindingList{},
		&tenantv1alpha1.WorkspaceList{}, &tenantv1alpha2.WorkspaceTemplateList{},
	} {
		for _, object := range namesOf(t, c, list) {
			if strings.HasPrefix(object, name) {
				found = append(found, fmt.Sprintf("%T %s", list, object))
			}
		}
	}
	return found
}

func roleBase(kind, name string) *iamv1alpha2.RoleBase {
	return &iamv1alpha2.RoleBase{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Role:       runtime.RawExtension{Raw: []byte(fmt.Sprintf(`{"kind":%q,"metadata":{"name":%q},"rules":[{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}]}`, kind, name))},
	}
}

func account(name string) *iamv1alpha2.User {
	return &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: iamv1alpha2.UserSpec{Email: name + "@example.com"}}
}

// killed runs an operation in a process that is killed at the first write, at
// the second and so on, until it gets through, and a new process after each.
func killed(t *testing.T, build func(t *testing.T) client.WithWatch, operation func(ctx context.Context, c client.Client) error, check func(t *testing.T, c client.WithWatch, done bool)) {
	t.Helper()
	for n, done := 1, false; !done; n++ {
		t.Run(fmt.Sprintf("at write %d", n), func(t *testing.T) {
			c, asked := build(t), 0
			err := operation(t.Context(), dying(c, n, &asked))
			switch {
			case err == nil && asked < n:
				done = true
			case !errors.Is(err, errDead):
				t.Fatalf("killed at write %d of %d: %v", n, asked, err)
			}
			restart(t, c)
			check(t, c, done)
		})
		if n > 60 || t.Failed() {
			t.Fatal("no end")
		}
	}
}

func TestCreateWorkspaceKilled(t *testing.T) {
	build := func(t *testing.T) client.WithWatch {
		return cluster(t, account("zoe"), roleBase("WorkspaceRole", "workspace-admin"), roleBase("WorkspaceRole", "workspace-viewer"))
	}
	create := func(ctx context.Context, c client.Client) error {
		_, spaces := domains(c)
		_, err := spaces.Create(ctx, &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "ws"}}, "zoe")
		return err
	}
	killed(t, build, create, func(t *testing.T, c client.WithWatch, done bool) {
		found := about(t, c, "ws")
		if full := len(found) == 5; !full && (len(found) > 0 || done) { // template, workspace, two roles, binding
			t.Errorf("neither full nor empty: %v", found)
		}
	})
}

func TestCreateUserKilled(t *testing.T) {
	build := func(t *testing.T) client.WithWatch {
		return cluster(t, &iamv1alpha2.GlobalRole{ObjectMeta: metav1.ObjectMeta{Name: "platform-regular"}},
			// What is left of somebody of that name must not be the new user's.
			&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "zoe-ws-admin", Labels: map[string]string{iamv1alpha2.LabelUserReference: "zoe"}},
				Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "zoe"}}})
	}
	create := func(ctx context.Context, c client.Client) error {
		accounts, _ := domains(c)
		wanted := account("zoe")
		wanted.Spec.EncryptedPassword = "P@88w0rd"
		_, err := accounts.Create(ctx, wanted, "platform-regular")
		return err
	}
	killed(t, build, create, func(t *testing.T, c client.WithWatch, done bool) {
		user := &iamv1alpha2.User{}
		err := c.Get(t.Context(), client.ObjectKey{Name: "zoe"}, user)
		if client.IgnoreNotFound(err) != nil || done && err != nil {
			t.Fatal(err)
		}
		bound := len(namesOf(t, c, &iamv1alpha2.GlobalRoleBindingList{}))
		switch {
		case err == nil && (bound != 1 || user.Status.State != iamv1alpha2.UserActive || !passwordhash.IsHash(user.Spec.EncryptedPassword) || len(about(t, c, "zoe-ws")) > 0):
			t.Errorf("not full: %v", about(t, c, "zoe"))
		case err != nil && bound != 0:
			t.Errorf("not empty: %v", about(t, c, "zoe"))
		}
	})
}

func TestDeleteUserKilled(t *testing.T) {
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "zoe"}}
	of := metav1.ObjectMeta{Name: "zoe-x", Labels: map[string]string{iamv1alpha2.LabelUserReference: "zoe"}}
	inNamespace := of
	inNamespace.Namespace = "project"
	unlabelled := metav1.ObjectMeta{Name: "zoe-unlabelled"}
	user := account("zoe")
	user.Spec.Groups, user.Status.State = []string{"devs"}, iamv1alpha2.UserActive
	managed := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "managed"}}
	managed.Spec.Template.Spec.Manager = "zoe"
	build := func(t *testing.T) client.WithWatch {
		return cluster(t, user.DeepCopy(), managed.DeepCopy(), roleBase("WorkspaceRole", "workspace-admin"),
			&iamv1alpha2.GlobalRoleBinding{ObjectMeta: of, Subjects: subject}, &iamv1alpha2.GlobalRoleBinding{ObjectMeta: unlabelled, Subjects: subject},
			&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: of, Subjects: subject}, &rbacv1.ClusterRoleBinding{ObjectMeta: of, Subjects: subject},
			&rbacv1.RoleBinding{ObjectMeta: inNamespace, Subjects: subject}, &iamv1alpha2.LoginRecord{ObjectMeta: of},
			&iamv1alpha2.Session{ObjectMeta: of}, &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "devs"}},
			&iamv1alpha2.GroupBinding{ObjectMeta: of, GroupRef: iamv1alpha2.GroupReference{Name: "devs"}, Users: []string{"zoe"}})
	}
	remove := func(ctx context.Context, c client.Client) error {
		accounts, _ := domains(c)
		return accounts.Delete(ctx, "zoe")
	}
	killed(t, build, remove, func(t *testing.T, c client.WithWatch, done bool) {
		found := about(t, c, "zoe")
		exists := !apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKey{Name: "zoe"}, &iamv1alpha2.User{}))
		switch {
		case exists && (done || len(found) != 9):
			t.Errorf("neither full nor empty: %v", found)
		case !exists && len(found) > 0:
			t.Errorf("left: %v", found)
		}
		bindings := &iamv1alpha2.WorkspaceRoleBinding{}
		err := c.Get(t.Context(), client.ObjectKey{Name: "managed-admin"}, bindings)
		if !exists && !apierrors.IsNotFound(err) {
			t.Errorf("who is gone manages a workspace: %+v, %v", bindings.Subjects, err)
		}
	})
}

func TestDeleteWorkspaceKilled(t *testing.T) {
	for _, orphan := range []bool{false, true} {
		build := func(t *testing.T) client.WithWatch {
			label := map[string]string{iamv1alpha2.LabelWorkspace: "ws", tenantv1alpha2.LabelNamespace: "project"}
			c := cluster(t, account("zoe"), roleBase("WorkspaceRole", "workspace-admin"))
			_, spaces := domains(c)
			if _, err := spaces.Create(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "ws"}}, "zoe"); err != nil {
				t.Fatal(err)
			}
			for _, object := range []client.Object{
				&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "project", Labels: label}},
				&iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "ws-member", Labels: label}},
				&iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "ws-group", Labels: label, Finalizers: []string{iamv1alpha2.FinalizerGroup}}},
			} {
				if err := c.Create(t.Context(), object); err != nil {
					t.Fatal(err)
				}
			}
			return c
		}
		remove := func(ctx context.Context, c client.Client) error {
			_, spaces := domains(c)
			return spaces.Delete(ctx, "ws", orphan)
		}
		killed(t, build, remove, func(t *testing.T, c client.WithWatch, done bool) {
			found := about(t, c, "ws")
			exists := !apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKey{Name: "ws"}, &tenantv1alpha2.WorkspaceTemplate{}))
			namespace := &corev1.Namespace{}
			err := c.Get(t.Context(), client.ObjectKey{Name: "project"}, namespace)
			switch {
			case exists && (done || len(found) != 5 || err != nil || namespace.Labels[iamv1alpha2.LabelWorkspace] != "ws"):
				t.Errorf("orphan %v: neither full nor empty: %v, %v", orphan, found, err)
			case !exists && (len(found) > 0 || orphan != (err == nil) || namespace.Labels[iamv1alpha2.LabelWorkspace] != ""):
				t.Errorf("orphan %v: left: %v, namespace %v", orphan, found, err)
			}
		})
	}
}
