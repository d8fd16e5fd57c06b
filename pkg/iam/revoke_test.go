package iam

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// kept is the metadata of an object that stays when it is deleted.
func kept(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Finalizers: []string{"x.io/keep"}, Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}
}

// TestRevokeWhatStays: a role or binding with a finalizer was in force after a deletion
// that had been answered with success.
func TestRevokeWhatStays(t *testing.T) {
	jane, every := subjects(rbacv1.UserKind, "jane"), []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	ofTemplate := kept("", "templated")
	ofTemplate.Annotations = map[string]string{iamv1alpha2.AnnotationAggregationRoles: `["to-come"]`}
	for name, object := range map[string]client.Object{
		"a global role":                 &iamv1alpha2.GlobalRole{ObjectMeta: kept("", "x"), Rules: every},
		"a workspace role":              &iamv1alpha2.WorkspaceRole{ObjectMeta: kept("", "x"), Rules: every},
		"a role of a template":          &iamv1alpha2.WorkspaceRole{ObjectMeta: ofTemplate, Rules: every},
		"a cluster role":                &rbacv1.ClusterRole{ObjectMeta: kept("", "x"), Rules: every},
		"an aggregated cluster role":    &rbacv1.ClusterRole{ObjectMeta: kept("", "x"), AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}},
		"a role":                        &rbacv1.Role{ObjectMeta: kept("n", "x"), Rules: every},
		"a binding of a global role":    &iamv1alpha2.GlobalRoleBinding{ObjectMeta: kept("", "x"), Subjects: jane},
		"a binding of a workspace role": &iamv1alpha2.WorkspaceRoleBinding{ObjectMeta: kept("", "x"), Subjects: jane},
		"a binding of a cluster role":   &rbacv1.ClusterRoleBinding{ObjectMeta: kept("", "x"), Subjects: jane},
		"a binding of a role":           &rbacv1.RoleBinding{ObjectMeta: kept("n", "x"), Subjects: jane},
	} {
		for _, form := range []string{"typed", "unstructured", "deleted already"} {
			t.Run(name+", "+form, func(t *testing.T) {
				c := cluster(t, object.DeepCopyObject().(client.Object))
				kind, err := c.GroupVersionKindFor(object)
				if err != nil {
					t.Fatal(err)
				}
				read := func() *unstructured.Unstructured {
					found := &unstructured.Unstructured{}
					found.SetGroupVersionKind(kind)
					if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), found); err != nil {
						t.Fatal(err)
					}
					return found
				}
				var present client.Object = read()
				if form != "unstructured" {
					present = object.DeepCopyObject().(client.Object)
					if form == "deleted already" {
						if err := c.Delete(t.Context(), read()); err != nil {
							t.Fatal(err)
						}
					}
					if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), present); err != nil {
						t.Fatal(err)
					}
				}
				if err := Revoke(t.Context(), c, present); err != nil {
					t.Fatal(err)
				}
				left := read()
				if left.GetDeletionTimestamp() == nil {
					t.Error("it is not deleted")
				}
				given, err := Given(left)
				named, _, _ := unstructured.NestedSlice(left.Object, "subjects")
				templates, failed := Templates(left)
				if err != nil || failed != nil || len(given)+len(named)+len(templates) > 0 {
					t.Errorf("it still gives something: %v", left.Object)
				}
			})
		}
	}
}

// TestRevokedMeanwhile: an object that gets a finalizer between being read and being
// deleted is in force; so that is a conflict.
func TestRevokedMeanwhile(t *testing.T) {
	stored := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "x"}, Subjects: subjects(rbacv1.UserKind, "jane")}
	c := cluster(t, stored)
	read := func() *rbacv1.RoleBinding {
		found := &rbacv1.RoleBinding{}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(stored), found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	before, changed := read(), read()
	changed.Finalizers = []string{"x.io/keep"}
	if err := c.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	if err := Revoke(t.Context(), c, before); !apierrors.IsConflict(err) {
		t.Errorf("got %v", err)
	}
	if err := (&Bindings{Client: c}).takeAway(t.Context(), rbacv1.UserKind, "jane", []binding{bindingOf(before)}); err != nil {
		t.Error(err)
	}
	if left := read(); len(left.Subjects) > 0 || left.DeletionTimestamp == nil {
		t.Errorf("it is left as %v", left)
	}
}

// TestTakenFromWhatStays: everything that takes roles away said so while a binding with a
// finalizer kept giving them.
func TestTakenFromWhatStays(t *testing.T) {
	allowed := func([]rbacv1.RoleRef) error { return nil }
	ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "admin"}
	labelled := kept("n", "x")
	labelled.Labels[iamv1alpha2.LabelUserReference] = "jane"
	ended := kept("n", "jane-admin")
	ended.Labels[iamv1alpha2.LabelUserReference] = "jane"
	jane := func(meta metav1.ObjectMeta) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects(rbacv1.UserKind, "jane")}
	}
	for name, test := range map[string]struct {
		binding client.Object
		deleted bool // already
		take    func(context.Context, *Bindings) error
		roles   []string // of jane in n
	}{
		"a member who leaves": {jane(kept("n", "x")), false, func(ctx context.Context, b *Bindings) error {
			return b.Remove(ctx, Place{Namespace: "n"}, "jane", allowed)
		}, nil},
		"a member who gets another role": {jane(kept("n", "x")), false, func(ctx context.Context, b *Bindings) error {
			return b.Set(ctx, Place{Namespace: "n"}, "jane", "viewer", allowed)
		}, []string{"viewer"}},
		"a role that is given again while its binding ends": {jane(ended), true, func(ctx context.Context, b *Bindings) error {
			return b.Set(ctx, Place{Namespace: "n"}, "jane", "admin", allowed)
		}, []string{"admin"}},
		"a user who is deleted": {jane(kept("n", "x")), false, func(ctx context.Context, b *Bindings) error {
			return b.RemoveEverywhere(ctx, "jane")
		}, nil},
		"what the server gave a user": {jane(labelled), false, func(ctx context.Context, b *Bindings) error { return b.RemoveLeft(ctx, "jane") }, nil},
		"what the name of a new user has": {jane(kept("n", "x")), true, func(ctx context.Context, b *Bindings) error {
			return b.unbound(ctx, "jane")
		}, nil},
		"a platform administrator who gets another role": {&iamv1alpha2.GlobalRoleBinding{
			ObjectMeta: kept("", "jane-platform-admin"), Subjects: subjects(rbacv1.UserKind, "jane"), RoleRef: rbacv1.RoleRef{Kind: "GlobalRole", Name: "platform-admin"},
		}, false, func(ctx context.Context, b *Bindings) error {
			return b.Set(ctx, Place{}, "jane", "platform-regular", allowed)
		}, nil},
		"a group that is deleted": {&rbacv1.RoleBinding{ObjectMeta: kept("n", "x"), RoleRef: ref, Subjects: subjects(rbacv1.GroupKind, "devs")}, false,
			func(ctx context.Context, b *Bindings) error { return b.RemoveGroup(ctx, "", "devs") }, nil},
		"service accounts of a namespace": {&rbacv1.RoleBinding{
			ObjectMeta: kept("n", "x"), RoleRef: ref, Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "gone", Name: "default"}},
		}, false, func(ctx context.Context, b *Bindings) error {
			return b.RemoveServiceAccounts(ctx, &BoundServiceAccounts{Namespace: "gone", Local: []BindingReference{{"rolebindings", "n", "x"}}})
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c := cluster(t, test.binding, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}}})
			if test.deleted {
				if err := c.Delete(t.Context(), test.binding.DeepCopyObject().(client.Object)); err != nil {
					t.Fatal(err)
				}
			}
			if err := test.take(t.Context(), &Bindings{Client: c}); err != nil {
				t.Fatal(err)
			}
			left := test.binding.DeepCopyObject().(client.Object)
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(left), left); err != nil {
				t.Fatal(err)
			}
			if is := bindingOf(left); len(*is.subjects) > 0 || !is.ends() {
				t.Errorf("the binding gives its role to %v", *is.subjects)
			}
			bound, err := (&Bindings{Client: c}).of(t.Context(), Place{Namespace: "n"}, "jane")
			if err != nil || len(bound) != len(test.roles) || len(bound) > 0 && (bound[0].role() != test.roles[0] || bound[0].ends()) {
				t.Errorf("the bindings are %v, %v", bound, err)
			}
		})
	}
}

// TestRevocationFails: a revocation Kubernetes refuses a part of is no success.
func TestRevocationFails(t *testing.T) {
	stored := &rbacv1.RoleBinding{ObjectMeta: kept("n", "x"), Subjects: subjects(rbacv1.UserKind, "jane")}
	c := interceptor.NewClient(cluster(t, stored).(client.WithWatch), interceptor.Funcs{
		Update: func(context.Context, client.WithWatch, client.Object, ...client.UpdateOption) error {
			return errRefused
		},
	})
	if err := (&Bindings{Client: c}).RemoveEverywhere(t.Context(), "jane"); status.Of(err).Code < 400 {
		t.Errorf("got %v", err)
	}
}

// TestLeftGroupsThatStay: a user stayed in a group whose membership had a finalizer.
func TestLeftGroupsThatStay(t *testing.T) {
	jane := &iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{Groups: []string{"devs"}}}
	group := &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: "devs", Labels: map[string]string{iamv1alpha2.LabelWorkspace: "w"}, Finalizers: []string{iamv1alpha2.FinalizerGroup}}}
	joined := membership("w", "jane", "devs")
	joined.Name, joined.GenerateName, joined.Finalizers = "x", "", []string{"x.io/keep"}
	c := cluster(t, jane, group, joined)
	g := &Groups{Client: c, Bindings: &Bindings{Client: c}}
	in := func() int {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(jane), jane); err != nil {
			t.Fatal(err)
		}
		return len(jane.Spec.Groups)
	}
	if err := g.LeaveWorkspace(t.Context(), "w", "jane"); err != nil || in() != 0 {
		t.Errorf("the user is in %v, %v", jane.Spec.Groups, err)
	}
	// A membership that ends is none to come back by.
	again, err := g.Join(t.Context(), "w", "jane", "devs")
	if err != nil || again.DeletionTimestamp != nil || in() != 1 {
		t.Errorf("the user is in %v by %v, %v", jane.Spec.Groups, again, err)
	}
}
