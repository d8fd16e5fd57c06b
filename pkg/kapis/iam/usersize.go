package iam

import (
	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// maxUserBytes bounds the texts of a user: every replica keeps them, and whoever lists users
// gets them.
const maxUserBytes = 64 << 10

// checkUserSize returns an invalid error when the texts of a user are too long. Those that are
// already may become shorter; present is nil for a new user.
func checkUserSize(present, wanted *iamv1alpha2.User) error {
	most := maxUserBytes
	if present != nil {
		most = max(most, userSize(present))
	}
	if userSize(wanted) > most {
		return status.Invalid("spec", "Too long: labels, annotations, displayName, description, lang and email may have at most %d bytes together", maxUserBytes)
	}
	return nil
}

func userSize(u *iamv1alpha2.User) int {
	size := len(u.Spec.DisplayName) + len(u.Spec.Description) + len(u.Spec.Lang) + len(u.Spec.Email)
	for _, texts := range []map[string]string{u.Labels, u.Annotations} {
		for key, value := range texts {
			size += len(key) + len(value)
		}
	}
	return size
}
