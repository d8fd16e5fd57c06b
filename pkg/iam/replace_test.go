package iam

import (
	"context"
	"errors"
	"sync"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func unchecked(*iamv1alpha2.Group) error { return nil }

func trusted(*iamv1alpha2.User, *iamv1alpha2.User) error { return nil }

// changedOnce is a client with which an administrator changes an object right before the
// first write of it, when its checks have passed.
func changedOnce(t *testing.T, object client.Object, change func(client.Object)) client.Client {
	t.Helper()
	changed := false
	return interceptor.NewClient(cluster(t, object).(client.WithWatch), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			if !changed {
				changed = true
				present := o.DeepCopyObject().(client.Object)
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), present); err != nil {
					return err
				}
				change(present)
				if err := c.Update(ctx, present); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, options...)
		},
	})
}

var errRefused = errors.New("refused")

// TestUserChangedBetween: an account that an administrator disabled between the checks and
// the write became active again.
func TestUserChangedBetween(t *testing.T) {
	for name, versioned := range map[string]bool{"without a version": false, "with the version it read": true} {
		jane := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive}}
		c := changedOnce(t, jane, func(o client.Object) { o.(*iamv1alpha2.User).Status.State = iamv1alpha2.UserDisabled })
		wanted := &iamv1alpha2.User{}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(jane), wanted); err != nil {
			t.Fatal(err)
		}
		if !versioned {
			wanted.ResourceVersion = ""
		}
		_, err := newUsers(c, &ended{}).Update(t.Context(), wanted, false, func(present, _ *iamv1alpha2.User) error {
			if present.Status.State == iamv1alpha2.UserDisabled {
				return errRefused
			}
			return nil
		})
		if !errors.Is(err, errRefused) && status.Of(err).Code != 409 {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(jane), jane); err != nil || jane.Status.State != iamv1alpha2.UserDisabled {
			t.Errorf("%s: the user is %s, %v", name, jane.Status.State, err)
		}
	}
}

// TestGroupChangedBetween: what an administrator wrote at a group between the checks and
// the write was undone.
func TestGroupChangedBetween(t *testing.T) {
	stored := &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "devs", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}}
	c := changedOnce(t, stored, func(o client.Object) { o.SetAnnotations(map[string]string{"locked": "true"}) })
	wanted := &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "devs"}}
	_, err := (&Groups{Client: c, Bindings: &Bindings{Client: c}}).Update(t.Context(), "w", wanted, func(present *iamv1alpha2.Group) error {
		if present.Annotations["locked"] != "" {
			return errRefused
		}
		return nil
	})
	if !errors.Is(err, errRefused) {
		t.Errorf("got %v", err)
	}
}

// TestRolesSetAtOnce: two requests that gave a member a role at the same time each took
// the role of the other, so that the member had none; and a role that a member got after
// the checks was taken.
func TestRolesSetAtOnce(t *testing.T) {
	place := Place{Namespace: "n"}
	b := &Bindings{Client: cluster(t)}
	allowed := func([]rbacv1.RoleRef) error { return nil }
	var group sync.WaitGroup
	for n := range 40 {
		group.Go(func() {
			if err := b.Set(t.Context(), place, "jane", []string{"viewer", "operator"}[n%2], allowed); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if roles, err := b.Roles(t.Context(), place, "jane"); err != nil || len(roles) != 1 {
		t.Errorf("the roles are %v, %v", roles, err)
	}
	if err := b.Set(t.Context(), place, "jane", "admin", allowed); err != nil {
		t.Fatal(err)
	}
	refuse := func(present []rbacv1.RoleRef) error {
		if len(present) == 1 && present[0].Name == "admin" {
			return errRefused
		}
		return nil
	}
	if err := b.Set(t.Context(), place, "jane", "viewer", refuse); !errors.Is(err, errRefused) {
		t.Errorf("another role: %v", err)
	}
	if err := b.Remove(t.Context(), place, "jane", refuse); !errors.Is(err, errRefused) {
		t.Errorf("the removal: %v", err)
	}
	if roles, err := b.Roles(t.Context(), place, "jane"); err != nil || len(roles) != 1 || roles[0] != "admin" {
		t.Errorf("the roles are %v, %v", roles, err)
	}
}

// TestRoleTakenByAnotherProcess: a request was answered with success though another
// process took the role that it gave, and the member had none.
func TestRoleTakenByAnotherProcess(t *testing.T) {
	old := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x"}, Subjects: subjects(rbacv1.UserKind, "jane"), RoleRef: rbacv1.RoleRef{Name: "old"}}
	c := interceptor.NewClient(cluster(t, old).(client.WithWatch), interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			taken := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "jane-new"}}
			if err := c.Delete(ctx, taken); err != nil {
				return err
			}
			return c.Delete(ctx, o, options...)
		},
	})
	err := (&Bindings{Client: c}).Set(t.Context(), Place{Namespace: "n"}, "jane", "new", func([]rbacv1.RoleRef) error { return nil })
	if status.Of(err).Code != 409 {
		t.Errorf("got %v", err)
	}
}
