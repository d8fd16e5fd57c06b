package oauth

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// The scopes. They say what an application learns of the user; what it may do
// is what the user may do.
const (
	scopeOpenID  = "openid"
	scopeProfile = "profile"
	scopeEmail   = "email"
	scopeGroups  = "groups"
	scopeOffline = "offline_access"
)

// supportedScopes are all of them, in the order they are shown.
func supportedScopes() []string {
	return []string{scopeOpenID, scopeProfile, scopeEmail, scopeGroups, scopeOffline}
}

// defaultScopes are the scopes of a client that names none (RFC 6749 §3.3): those it
// is restricted to. offline_access has to be named (OpenID Connect Core §11). A client
// without restrictions has none, and its tokens tell everything, as clients of
// KubeSphere 3.x expect.
func defaultScopes(c *oauthclient.Client) []string {
	var scopes []string
	for _, scope := range supportedScopes() {
		if scope != scopeOffline && slices.Contains(c.ScopeRestrictions, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// scopesOf reads the scopes a client asks for, its default if it names none, and
// refuses those it may not have. Unknown ones are ignored (OpenID Connect Core
// §3.1.2.1), unless no other is asked for: without any a client would get what it did
// not ask for. They are returned in our order, each once.
func scopesOf(text string, c *oauthclient.Client) ([]string, error) {
	requested := strings.Fields(text)
	if len(requested) == 0 {
		return defaultScopes(c), nil
	}
	var scopes []string
	for _, scope := range supportedScopes() {
		if !slices.Contains(requested, scope) {
			continue
		}
		if len(c.ScopeRestrictions) > 0 && !slices.Contains(c.ScopeRestrictions, scope) {
			return nil, invalidScope("the client may not have this scope")
		}
		scopes = append(scopes, scope)
	}
	if len(scopes) == 0 {
		return nil, invalidScope("no scope is known, known are " + strings.Join(supportedScopes(), " "))
	}
	return scopes, nil
}

// sessionScopes are the scopes a session was granted and its client may still have,
// the default of the client if it has none: it was started by an earlier version.
func sessionScopes(s *iamv1alpha2.Session, c *oauthclient.Client) []string {
	if len(s.Spec.Scopes) == 0 {
		return defaultScopes(c)
	}
	return slices.DeleteFunc(slices.Clone(s.Spec.Scopes), func(scope string) bool {
		return len(c.ScopeRestrictions) > 0 && !slices.Contains(c.ScopeRestrictions, scope)
	})
}

func invalidScope(description string) *Error {
	return &Error{Code: "invalid_scope", Description: description, Status: http.StatusBadRequest}
}

// profileOf is what scopes tell of a user.
func (h *Handler) profileOf(ctx context.Context, user *iamv1alpha2.User, scopes []string) (token.Profile, error) {
	var profile token.Profile
	if slices.Contains(scopes, scopeProfile) {
		profile.Name, profile.PreferredUsername, profile.Locale = cmp.Or(user.Spec.DisplayName, user.Name), user.Name, user.Spec.Lang
	}
	if slices.Contains(scopes, scopeEmail) {
		if profile.Email = user.Spec.Email; profile.Email != "" {
			verified := iam.HasVerifiedEmail(user)
			profile.EmailVerified = &verified
		}
	}
	if slices.Contains(scopes, scopeGroups) {
		// Whoever trusts our tokens shall not be told of groups we would not believe in.
		var err error
		if profile.Groups, err = h.Accounts.ClaimedGroups(ctx, user.Name, authn.Groups(user.Spec.Groups)); err != nil {
			return token.Profile{}, err
		}
	}
	return profile, nil
}
