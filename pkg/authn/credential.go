package authn

import (
	"errors"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

// ErrPasswordChanged is the reason for which a request that began with a password may
// not continue: the password of the user is another one since.
var ErrPasswordChanged = errors.New("the password was changed")

// ExtraAccount is the key of user.Info's extra that holds the UID of the User object the
// credentials were checked for. A user that is created again under the same name has
// another one.
const ExtraAccount = kube.ExtraPrefix + "account"

// ExtraPasswordDigest is the key of user.Info's extra that holds iam.PasswordDigest of
// the user whose password the request came with.
const ExtraPasswordDigest = kube.ExtraPrefix + "password-digest"

// HasToken reports whether a user authenticated by a token. Browsers send passwords
// (HTTP Basic) by themselves, with requests of the pages of other sites as well, but
// never tokens.
func HasToken(who user.Info) bool {
	if who == nil {
		return false
	}
	extra := who.GetExtra()
	_, byPassword := extra[ExtraPasswordDigest]
	return len(extra) > 0 && !byPassword
}

// withAccount adds the UID of the User object to the extra of its user.
func withAccount(extra map[string][]string, uid string) map[string][]string {
	if uid != "" {
		extra[ExtraAccount] = []string{uid}
	}
	return extra
}
