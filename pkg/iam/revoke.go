package iam

import (
	"context"
	"reflect"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Revoke deletes a role or the binding of one in the version that was read, so that it
// gives nothing any more when there is no error. Kubernetes keeps an object that has
// finalizers, and goes by it, for as long as those like who wrote them: it loses its rules
// or subjects first. It is a conflict when the object has changed since it was read.
func Revoke(ctx context.Context, c client.Client, object client.Object) error {
	if len(object.GetFinalizers()) > 0 {
		empty := Emptied(object)
		if !reflect.DeepEqual(empty, object) {
			if err := c.Update(ctx, empty); err != nil {
				return err
			}
		}
		if empty.GetDeletionTimestamp() != nil {
			return nil
		}
		object = empty
	}
	// Finalizers that were added since make it another version.
	version := object.GetResourceVersion()
	return c.Delete(ctx, object, client.Preconditions{ResourceVersion: &version})
}

// Emptied is a role without rules, and without what it could get some from, or a binding
// without subjects.
func Emptied(object client.Object) client.Object {
	object = object.DeepCopyObject().(client.Object)
	switch o := object.(type) {
	case *iamv1alpha2.GlobalRole:
		o.Rules = nil
	case *iamv1alpha2.WorkspaceRole:
		o.Rules = nil
	case *rbacv1.ClusterRole:
		o.Rules, o.AggregationRule = nil, nil
	case *rbacv1.Role:
		o.Rules = nil
	case *unstructured.Unstructured:
		if strings.HasSuffix(o.GetKind(), "Binding") {
			delete(o.Object, "subjects")
			return o
		}
		delete(o.Object, "aggregationRule")
		o.Object["rules"] = []any{} // some kinds require it
	default:
		*bindingOf(object).subjects = nil
		return object
	}
	if annotations := object.GetAnnotations(); annotations[iamv1alpha2.AnnotationAggregationRoles] != "" {
		delete(annotations, iamv1alpha2.AnnotationAggregationRoles)
		object.SetAnnotations(annotations)
	}
	return object
}

// RevokeLeft revokes the roles or bindings in a list, of one of our own kinds, that are left
// of a deletion since they have finalizers.
func RevokeLeft(ctx context.Context, c client.Client, list client.ObjectList, options ...client.ListOption) error {
	if err := c.List(ctx, list, options...); err != nil {
		return err
	}
	var left []client.Object
	switch l := list.(type) {
	case *iamv1alpha2.WorkspaceRoleList:
		for n := range l.Items {
			left = append(left, &l.Items[n])
		}
	default:
		for _, one := range bindingsIn(list) {
			left = append(left, one.object)
		}
	}
	left = slices.DeleteFunc(left, func(object client.Object) bool { return len(object.GetFinalizers()) == 0 })
	for _, object := range left {
		if err := Revoke(ctx, c, object); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}
