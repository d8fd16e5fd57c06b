package authz

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// FirstChange lets users whose password somebody else chose do nothing but look
// at their own account and change the password; it has no opinion about
// others. It goes before what permits.
type FirstChange struct {
	// Waits reports whether a user has to change the password first.
	Waits func(ctx context.Context, name string) (bool, error)
}

// Authorize implements authorizer.UnconditionalAuthorizer.
func (f FirstChange) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	who := a.GetUser()
	if IsAnonymous(who) {
		return authorizer.DecisionNoOpinion, "", nil
	}
	waits, err := f.Waits(ctx, who.GetName())
	if err != nil || !waits || ownPassword(a, who) {
		return authorizer.DecisionNoOpinion, "", err
	}
	return authorizer.DecisionDeny, "the password has to be changed first", nil
}

// ownPassword is what the page needs that changes a password.
func ownPassword(a authorizer.Attributes, who user.Info) bool {
	if ownPatch(a) {
		return true
	}
	if !strings.HasPrefix(a.GetPath(), "/kapis/") || a.GetAPIGroup() != groupIAM || a.GetResource() != "users" || a.GetName() != who.GetName() {
		return false
	}
	return a.GetVerb() == "get" || a.GetVerb() == "update" && a.GetSubresource() == "password"
}
