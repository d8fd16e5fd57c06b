package iam

import (
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// lastApplied is where kubectl apply keeps a copy of what it was given, plain
// passwords included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// Passwords says how the passwords that users choose are checked and hashed.
type Passwords struct {
	Policy *identity.Policy
	Hasher passwordhash.Hasher
}

// hash checks and hashes the password somebody chose for a user.
func (p Passwords) hash(password string, user *iamv1alpha2.User) (string, error) {
	password = passwordhash.Normalize(password)
	var rejected *identity.Rejected
	if err := p.Policy.Check(password, user.Name, user.Spec.Email); errors.As(err, &rejected) {
		return "", status.Invalid("spec.password", "%s", rejected.Reason)
	}
	return p.Hasher.Hash(password)
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
func Complete(user *iamv1alpha2.User, hasher passwordhash.Hasher, now time.Time) (changed, password bool, err error) {
	if plain := user.Spec.EncryptedPassword; plain != "" && !passwordhash.IsHash(plain) {
		changed, password = true, true
		if len(passwordhash.Normalize(plain)) > hasher.Longest() {
			store(user, "", now)
			setState(user, iamv1alpha2.UserDisabled, "the password is too long", now)
		} else {
			hash, err := hasher.Hash(plain)
			if err != nil {
				return false, false, err
			}
			store(user, hash, now)
		}
	}
	switch user.Status.State {
	case "":
		changed = true
		activate(user, now)
	case iamv1alpha2.UserAuthLimitExceeded:
		// KubeSphere 3.x locks accounts that way; here who guesses has to wait.
		changed = true
		setState(user, iamv1alpha2.UserActive, "", now)
	}
	if AddFinalizer(user, iamv1alpha2.FinalizerUser) {
		changed = true
	}
	return changed, password, nil
}

// activate sets the state of a new user: active with a password, or with an
// identity provider to log in by; otherwise there is no way to log in.
func activate(user *iamv1alpha2.User, now time.Time) {
	if user.Spec.EncryptedPassword == "" && !external(user) {
		setState(user, iamv1alpha2.UserDisabled, reasonNoPassword, now)
		return
	}
	setState(user, iamv1alpha2.UserActive, "", now)
}

// reasonNoPassword is why a user is disabled whom nobody has disabled.
const reasonNoPassword = "the user has no password"

func setState(user *iamv1alpha2.User, state iamv1alpha2.UserState, reason string, now time.Time) {
	if user.Status.State != state {
		at := metav1.NewTime(now)
		user.Status.LastTransitionTime = &at
	}
	user.Status.State, user.Status.Reason = state, reason
}
