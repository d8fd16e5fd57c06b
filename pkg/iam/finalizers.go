package iam

import (
	"context"
	"slices"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// AddFinalizer adds a finalizer to an object; false when it was there.
func AddFinalizer(object client.Object, name string) bool {
	if slices.Contains(object.GetFinalizers(), name) {
		return false
	}
	object.SetFinalizers(append(object.GetFinalizers(), name))
	return true
}

// Release removes our finalizers of an object that is being deleted, and those
// KubeSphere left.
func Release(ctx context.Context, c client.Client, object client.Object) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return client.IgnoreNotFound(err)
		}
		left := iamv1alpha2.WithoutFinalizers(object.GetFinalizers())
		if object.GetDeletionTimestamp() == nil || len(left) == len(object.GetFinalizers()) {
			return nil
		}
		object.SetFinalizers(left)
		return client.IgnoreNotFound(c.Update(ctx, object))
	})
}

func annotate(object client.Object, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = make(map[string]string)
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}
