package iam

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// Update replaces what a user may be told to be: labels, annotations, spec and
// whether he is disabled. His password and memberships stay. With a resource
// version in the object, a user that changed since is a conflict. With profile,
// only what users may change of themselves is taken. An error of check ends it: check
// gets the object that is written over, and again after a conflict, with a copy of wanted
// that it may complete.
func (u *Users) Update(ctx context.Context, wanted *iamv1alpha2.User, profile bool, check func(present, wanted *iamv1alpha2.User) error) (*iamv1alpha2.User, error) {
	var updated *iamv1alpha2.User
	var disabled bool
	change := func() (err error) {
		updated, disabled, err = u.replace(ctx, wanted.DeepCopy(), profile, check)
		return err
	}
	defer lockEmail(wanted.Spec.Email)()
	// What a reconciler writes meanwhile is no conflict of the client's.
	err := retry.OnError(retry.DefaultBackoff, func(err error) bool { return apierrors.IsConflict(err) && !errors.As(err, new(*staleError)) }, change)
	if err != nil {
		return nil, err
	}
	if disabled {
		if err := u.Sessions.EndOthers(ctx, updated.Name, "", "the user was disabled"); err != nil {
			return nil, err
		}
	}
	return updated, nil
}

// staleError is the conflict of a client that names a version of the past, which no
// further attempt changes.
type staleError struct{ error }

func (e *staleError) Unwrap() error { return e.error }

func (u *Users) replace(ctx context.Context, wanted *iamv1alpha2.User, profile bool, check func(present, wanted *iamv1alpha2.User) error) (updated *iamv1alpha2.User, disabled bool, err error) {
	present := &iamv1alpha2.User{}
	if err := u.Client.Get(ctx, client.ObjectKeyFromObject(wanted), present); err != nil {
		return nil, false, err
	}
	if err := kube.CheckVersion(iamv1alpha2.Resource("users"), present, wanted); err != nil && !u.loggedInOnly(ctx, present, wanted.ResourceVersion) {
		return nil, false, &staleError{err}
	}
	if err := check(present, wanted); err != nil {
		return nil, false, err
	}
	if email := wanted.Spec.Email; email != present.Spec.Email {
		if err := validateEmail(email); err != nil {
			return nil, false, err
		}
		if err := u.emailFree(ctx, email, present.Name); err != nil {
			return nil, false, err
		}
	}
	updated = present.DeepCopy()
	updated.Spec = wanted.Spec
	updated.Spec.EncryptedPassword, updated.Spec.Groups = present.Spec.EncryptedPassword, present.Spec.Groups
	if !profile {
		disabled = u.manage(updated, wanted)
	}
	return updated, disabled, u.Client.Update(ctx, updated)
}

// loggedInOnly reports whether all that changed since a version of a user is
// the time of his last login, which nobody who edits a user should trip over.
// A version Kubernetes does not remember any more is not the present one.
func (u *Users) loggedInOnly(ctx context.Context, present *iamv1alpha2.User, version string) bool {
	if present.ResourceVersion == version {
		return true
	}
	then := &iamv1alpha2.UserList{}
	err := u.Client.List(ctx, then, client.MatchingFields{"metadata.name": present.Name}, &client.ListOptions{Raw: &metav1.ListOptions{
		ResourceVersion: version, ResourceVersionMatch: metav1.ResourceVersionMatchExact,
	}})
	if err != nil || len(then.Items) != 1 {
		return false
	}
	before, now := then.Items[0], present.DeepCopy()
	for _, one := range []*iamv1alpha2.User{&before, now} {
		one.ResourceVersion, one.Generation, one.ManagedFields, one.Status.LastLoginTime = "", 0, nil, nil
	}
	return equality.Semantic.DeepEqual(&before.ObjectMeta, &now.ObjectMeta) && equality.Semantic.DeepEqual(before.Spec, now.Spec) && equality.Semantic.DeepEqual(before.Status, now.Status)
}

// manage copies what only those who manage users may change. It reports
// whether the user is disabled now and was not before.
func (u *Users) manage(updated, wanted *iamv1alpha2.User) (disabled bool) {
	keepIdentities(updated, wanted)
	lastChange, verified := updated.Annotations[iamv1alpha2.AnnotationLastPasswordChange], updated.Annotations[iamv1alpha2.AnnotationVerifiedEmail]
	updated.Labels, updated.Annotations = wanted.Labels, wanted.Annotations
	delete(updated.Annotations, iamv1alpha2.AnnotationGlobalRole)
	delete(updated.Annotations, lastApplied)
	if lastChange != "" {
		annotate(updated, iamv1alpha2.AnnotationLastPasswordChange, lastChange)
	}
	if verified != "" && updated.Annotations[iamv1alpha2.AnnotationVerifiedEmail] == "" { // what is left out stays
		annotate(updated, iamv1alpha2.AnnotationVerifiedEmail, verified)
	}
	state := wanted.Status.State
	if state == updated.Status.State || state != iamv1alpha2.UserActive && state != iamv1alpha2.UserDisabled {
		return false
	}
	setState(updated, state, "", u.Now())
	return state == iamv1alpha2.UserDisabled
}
