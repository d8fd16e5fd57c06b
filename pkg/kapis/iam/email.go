package iam

import (
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
)

// vouchForEmail notes that an address is a user's when somebody with all rights on the
// platform writes another one than the user has: it may be linked to a person of an identity
// provider then.
func (h *Handler) vouchForEmail(r *http.Request, present, wanted *iamv1alpha2.User) error {
	address := iamv1alpha2.NormalizeEmail(wanted.Spec.Email)
	if address == "" || present != nil && iamv1alpha2.NormalizeEmail(present.Spec.Email) == address {
		return nil
	}
	administers, err := authz.HoldsAll(r.Context(), h.Rights, caller(r), authz.Scope{})
	if err != nil || !administers {
		return err
	}
	if wanted.Annotations == nil {
		wanted.Annotations = make(map[string]string)
	}
	wanted.Annotations[iamv1alpha2.AnnotationVerifiedEmail] = address
	return nil
}

// keepVerifiedEmail lets the address that was verified stay where what is written leaves it
// out.
func keepVerifiedEmail(present *iamv1alpha2.User, after *metav1.ObjectMeta) {
	verified := present.Annotations[iamv1alpha2.AnnotationVerifiedEmail]
	if verified == "" || after.Annotations[iamv1alpha2.AnnotationVerifiedEmail] != "" {
		return
	}
	if after.Annotations == nil {
		after.Annotations = make(map[string]string)
	}
	after.Annotations[iamv1alpha2.AnnotationVerifiedEmail] = verified
}
