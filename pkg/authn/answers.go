package authn

import (
	"slices"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/utils/lru"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// rememberedAnswers bounds the tokens whose answers are remembered.
const rememberedAnswers = 8192

// answers are what authentication answered for access tokens, as long as the verified
// claims are remembered and the account has the same UID and groups: many requests come
// with one token. They are shared and must not be changed.
type answers struct{ known *lru.Cache }

type answer struct {
	uid      string
	groups   []string
	response *authenticator.Response
}

func newAnswers() answers { return answers{known: lru.New(rememberedAnswers)} }

// of returns the answer for verified claims of an account.
func (a answers) of(claims *token.Claims, account *iam.Account) *authenticator.Response {
	if known, found := a.known.Get(claims); found {
		if one := known.(*answer); one.uid == account.UID && slices.Equal(one.groups, account.Groups) { //nolint:forcetypeassert // nothing else is stored
			return one.response
		}
	}
	response := authenticated(account.Name, account.Groups, withAccount(extraOf(claims), account.UID))
	a.known.Add(claims, &answer{account.UID, account.Groups, response})
	return response
}
