package iam

import (
	"context"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// HasVerifiedEmail reports whether an identity provider said that the present e-mail address
// of a user is the user's. Users, and those who manage users, write any address.
func HasVerifiedEmail(user *iamv1alpha2.User) bool {
	verified := user.Annotations[iamv1alpha2.AnnotationVerifiedEmail]
	return verified != "" && verified == iamv1alpha2.NormalizeEmail(user.Spec.Email)
}

// VerifyEmail notes that an identity provider says that an e-mail address is a user's. It
// changes nothing for a user who has another address.
func (u *Users) VerifyEmail(ctx context.Context, user *iamv1alpha2.User, email string) error {
	if email == "" {
		return nil
	}
	address := iamv1alpha2.NormalizeEmail(email)
	present := user.DeepCopy()
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if iamv1alpha2.NormalizeEmail(present.Spec.Email) != address || HasVerifiedEmail(present) {
			return nil
		}
		if present.Annotations == nil {
			present.Annotations = make(map[string]string)
		}
		present.Annotations[iamv1alpha2.AnnotationVerifiedEmail] = address
		err := u.Client.Update(ctx, present)
		if err != nil {
			if getErr := u.Client.Get(ctx, client.ObjectKeyFromObject(user), present); getErr != nil {
				return client.IgnoreNotFound(getErr)
			}
		}
		return client.IgnoreNotFound(err)
	})
}
