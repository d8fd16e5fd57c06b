package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// consentName is the same for a user and a client however they are spelled: a
// zero byte is in neither name.
func consentName(user, oauthClient string) string {
	digest := sha256.Sum256([]byte(user + "\x00" + oauthClient))
	return fmt.Sprintf("consent-%x", digest[:20])
}

// Consented reports whether a user agreed to all of the scopes a client asks for.
func (s *Sessions) Consented(ctx context.Context, user *iamv1alpha2.User, oauthClient string, scopes []string) (bool, error) {
	consent := &iamv1alpha2.Consent{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: consentName(user.Name, oauthClient)}, consent); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	// Somebody of the same name may have agreed before.
	owned := slices.ContainsFunc(consent.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.UID == user.UID })
	if !owned || consent.Spec.User != user.Name || consent.Spec.Client != oauthClient {
		return false, nil
	}
	for _, scope := range scopes {
		if !slices.Contains(consent.Spec.Scopes, scope) {
			return false, nil
		}
	}
	return true, nil
}

// forgetConsents deletes the oldest consents of a user with too many: the user is
// asked again.
func (s *Sessions) forgetConsents(ctx context.Context, user string) error {
	if s.MaxConsents == 0 {
		return nil
	}
	consents := &iamv1alpha2.ConsentList{}
	if err := s.Client.List(ctx, consents, client.MatchingLabels{iamv1alpha2.LabelUserReference: UserLabel(user)}); err != nil {
		return err
	}
	slices.SortFunc(consents.Items, func(a, b iamv1alpha2.Consent) int {
		return cmp.Or(a.Spec.Time.Compare(b.Spec.Time.Time), cmp.Compare(a.Name, b.Name))
	})
	for n := range max(0, len(consents.Items)-s.MaxConsents) {
		if err := s.Client.Delete(ctx, &consents.Items[n]); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// Consent notes that a user agreed to the scopes a client asks for.
func (s *Sessions) Consent(ctx context.Context, user *iamv1alpha2.User, oauthClient string, scopes []string) error {
	consent := &iamv1alpha2.Consent{
		ObjectMeta: metav1.ObjectMeta{
			Name: consentName(user.Name, oauthClient), Labels: map[string]string{iamv1alpha2.LabelUserReference: UserLabel(user.Name)},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: iamv1alpha2.SchemeGroupVersion.String(), Kind: "User", Name: user.Name, UID: user.UID,
			}},
		},
		Spec: iamv1alpha2.ConsentSpec{User: user.Name, Client: oauthClient, Scopes: scopes, Time: metav1.NewTime(s.Now())},
	}
	err := s.Client.Create(ctx, consent)
	if err == nil {
		return s.forgetConsents(ctx, user.Name)
	}
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	known := &iamv1alpha2.Consent{}
	if err := s.Client.Get(ctx, client.ObjectKeyFromObject(consent), known); err != nil {
		return err
	}
	known.OwnerReferences, known.Spec = consent.OwnerReferences, consent.Spec
	return s.Client.Update(ctx, known)
}
