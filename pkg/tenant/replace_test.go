package tenant

import (
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

func unchecked(*corev1.Namespace) error { return nil }

// changedOnce is a client with which an administrator labels an object right before the
// first write of it, when its checks have passed.
func changedOnce(t *testing.T, name string, objects ...client.Object) client.WithWatch {
	t.Helper()
	changed := false
	return interceptor.NewClient(cluster(t, objects...), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			if o.GetName() == name && !changed {
				changed = true
				present := o.DeepCopyObject().(client.Object)
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), present); err != nil {
					return err
				}
				present.SetLabels(merged(present.GetLabels(), map[string]string{"locked": "true"}))
				if err := c.Update(ctx, present); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, options...)
		},
	})
}

// TestReplaceChecksWhatItWritesOver: a client kept writing an object, and undid what an
// administrator wrote between the checks and the write.
func TestReplaceChecksWhatItWritesOver(t *testing.T) {
	errLocked := errors.New("locked")
	check := func(present client.Object) error {
		if present.GetLabels()["locked"] != "" {
			return errLocked
		}
		return nil
	}
	objects := func() []client.Object {
		return append(roleBases(), userNamed("jane"),
			&tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w1", "")}, &corev1.Namespace{ObjectMeta: meta("", "p1", "w1")},
			&quotav1alpha2.ResourceQuota{ObjectMeta: meta("", "q1", "w1"), Spec: quotav1alpha2.ResourceQuotaSpec{LabelSelector: of("w1")}})
	}
	for _, test := range []struct {
		name   string
		object client.Object
		update func(c client.Client, version string) error
	}{
		{"a workspace", &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w1"}}, func(c client.Client, version string) error {
			_, err := (&Workspaces{Client: c}).Update(t.Context(), &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w1", ResourceVersion: version}},
				func(present *tenantv1alpha2.WorkspaceTemplate) error { return check(present) })
			return err
		}},
		{"a namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p1"}}, func(c client.Client, version string) error {
			_, err := (&Projects{Client: c, Bindings: &iam.Bindings{Client: c}, Now: time.Now}).Update(t.Context(), "w1", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p1", ResourceVersion: version}},
				func(present *corev1.Namespace) error { return check(present) })
			return err
		}},
		{"a quota", &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q1"}}, func(c client.Client, version string) error {
			_, err := (&Quotas{Client: c}).Update(t.Context(), "w1", &quotav1alpha2.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "q1", ResourceVersion: version}},
				func(before, _ *quotav1alpha2.ResourceQuota) error { return check(before) })
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := changedOnce(t, test.object.GetName(), objects()...)
			if err := test.update(c, ""); !errors.Is(err, errLocked) {
				t.Errorf("without a version: %v", err)
			}
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(test.object), test.object); err != nil || test.object.GetLabels()["locked"] == "" {
				t.Errorf("the administrator's label is gone: %v, %v", test.object.GetLabels(), err)
			}
			c = changedOnce(t, test.object.GetName(), objects()...)
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(test.object), test.object); err != nil {
				t.Fatal(err)
			}
			if err := test.update(c, test.object.GetResourceVersion()); status.Of(err).Code != 409 {
				t.Errorf("with the version it read: %v", err)
			}
		})
	}
}

// TestReplacedManager: a manager who was just replaced has the role until the binding
// follows the template, and made himself the manager again.
func TestReplacedManager(t *testing.T) {
	template := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: meta("", "w1", "")}
	template.Spec.Template.Spec.Manager = "john"
	binding := &iamv1alpha2.WorkspaceRoleBinding{
		ObjectMeta: meta("", "w1-admin", "w1"), Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: "jane"}},
		RoleRef: rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "WorkspaceRole", Name: "w1-admin"},
	}
	binding.OwnerReferences = []metav1.OwnerReference{templateOwner(template)}
	c := cluster(t, append(roleBases(), userNamed("jane"), userNamed("john"), template, binding)...)
	wanted := &tenantv1alpha2.WorkspaceTemplate{ObjectMeta: metav1.ObjectMeta{Name: "w1"}}
	wanted.Spec.Template.Spec.Manager = "jane"
	_, err := (&Workspaces{Client: c}).Update(t.Context(), wanted, func(*tenantv1alpha2.WorkspaceTemplate) error {
		present := &iamv1alpha2.WorkspaceRoleBinding{}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(binding), present); err != nil {
			return err
		}
		if present.Subjects[0].Name != "jane" {
			return status.Forbidden(tenantv1alpha2.Resource("workspacetemplates"), "w1", "not the manager any more")
		}
		return nil
	})
	if status.Of(err).Code != 403 {
		t.Errorf("got %v", err)
	}
}
