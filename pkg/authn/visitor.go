package authn

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// authenticateVisitor accepts somebody from an identity provider who has no
// account yet. Whoever they are is in the token; here they are as good as
// anonymous, and may register.
func (b *bearer) authenticateVisitor(ctx context.Context, claims *token.Claims) (*authenticator.Response, bool, error) {
	active := false
	if claims.Session != "" {
		var err error
		if active, err = b.sessions.Active(ctx, claims.Session); err != nil {
			return nil, false, err
		}
	}
	if !active {
		return nil, false, ErrSessionEnded
	}
	return &authenticator.Response{User: &user.DefaultInfo{
		Name: identity.PreRegistration, Extra: extraOf(claims),
		// The second one keeps them out of system:authenticated.
		Groups: []string{iamv1alpha2.GroupPreRegistration, user.AllUnauthenticated},
	}}, true, nil
}
