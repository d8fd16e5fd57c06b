package iam

import (
	"time"

	"golang.org/x/crypto/bcrypt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// minPassword is the shortest password users can be given, in characters:
// that of KubeSphere 3.4. The longest one, in bytes, is bcrypt's.
const (
	minPassword = 8
	maxPassword = 72
)

// lastApplied is where kubectl apply keeps a copy of what it was given, plain
// passwords included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// hashPassword checks and hashes the password somebody chose.
func hashPassword(password string) (string, error) {
	switch {
	case len([]rune(password)) < minPassword:
		return "", status.Invalid("spec.password", "a password has at least %d characters", minPassword)
	case len(password) > maxPassword:
		return "", status.Invalid("spec.password", "a password has at most %d bytes", maxPassword)
	}
	return identity.HashPassword(password)
}

// Hashed reports whether what a user is stored with is the hash of a password.
func Hashed(password string) bool {
	_, err := bcrypt.Cost([]byte(password))
	return err == nil
}

// store puts a new hash into a user.
func store(user *iamv1alpha2.User, hash string, now time.Time) {
	user.Spec.EncryptedPassword = hash
	annotate(user, iamv1alpha2.AnnotationLastPasswordChange, now.UTC().Format(time.RFC3339))
	delete(user.Annotations, lastApplied)
}

// Complete brings a user that was written behind our back, with kubectl for
// example, into the state the API would have given it: the password hashed,
// the state set, the finalizer there. It reports whether anything changed, and
// whether a password did. A password that cannot be hashed since it is too
// long is removed and the user disabled: kept, it would be readable for ever.
func Complete(user *iamv1alpha2.User, now time.Time) (changed, password bool, err error) {
	if plain := user.Spec.EncryptedPassword; plain != "" && !Hashed(plain) {
		changed, password = true, true
		if len(plain) > maxPassword {
			store(user, "", now)
			setState(user, iamv1alpha2.UserDisabled, "the password is longer than bcrypt can tell apart", now)
		} else {
			hash, err := identity.HashPassword(plain)
			if err != nil {
				return false, false, err
			}
			store(user, hash, now)
		}
	}
	if user.Status.State == "" {
		changed = true
		activate(user, now)
	}
	if AddFinalizer(user, iamv1alpha2.FinalizerUser) {
		changed = true
	}
	return changed, password, nil
}

// activate sets the state of a new user: active with a password, or with an
// identity provider to log in by; otherwise there is no way to log in.
func activate(user *iamv1alpha2.User, now time.Time) {
	if user.Spec.EncryptedPassword == "" && user.Labels[iamv1alpha2.LabelIdentityProvider] == "" {
		setState(user, iamv1alpha2.UserDisabled, "the user has no password", now)
		return
	}
	setState(user, iamv1alpha2.UserActive, "", now)
}

func setState(user *iamv1alpha2.User, state iamv1alpha2.UserState, reason string, now time.Time) {
	if user.Status.State != state {
		at := metav1.NewTime(now)
		user.Status.LastTransitionTime = &at
	}
	user.Status.State, user.Status.Reason = state, reason
}
