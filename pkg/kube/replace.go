package kube

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
)

// errModified is the text of a conflict in kube-apiserver.
var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// CheckVersion returns a conflict error when a client names another version of an object
// than the one that was read. The version that is checked is the one to write over: a
// version that a client guesses may be one that is written after the checks.
func CheckVersion(resource schema.GroupResource, read, wanted metav1.Object) error {
	version := wanted.GetResourceVersion()
	if version == "" || version == read.GetResourceVersion() {
		return nil
	}
	return apierrors.NewConflict(resource, read.GetName(), errModified)
}

// RetryReplace replaces an object by wanted. Each attempt reads the object, checks it and
// writes over the version it has read. An attempt that ends with a conflict is repeated
// unless the client names the version it means.
func RetryReplace(wanted metav1.Object, attempt func() error) error {
	if wanted.GetResourceVersion() != "" {
		return attempt()
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, attempt)
}
