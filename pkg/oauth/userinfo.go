package oauth

import (
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// UserInfo is what an application may know of the user (OpenID Connect Core §5.3.2).
type UserInfo struct {
	Subject string `json:"sub"`
	token.Profile
}

// userinfo serves GET and POST /oauth/userinfo.
func (h *Handler) userinfo(w http.ResponseWriter, r *http.Request) error {
	who, found := request.UserFrom(r.Context())
	if !found || who.GetName() == user.Anonymous || who.GetName() == identity.PreRegistration {
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`"`)
		noStore(w)
		status.WriteJSON(w, http.StatusUnauthorized, Error{Code: "login_required"})
		return nil
	}
	scopes, err := h.grantedScopes(r, who)
	if err == nil && !slices.Contains(scopes, scopeOpenID) {
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="openid"`)
		err = &Error{Code: "insufficient_scope", Description: "the token was not granted the scope openid", Status: http.StatusForbidden}
	}
	if err != nil {
		return answer(w, r, nil, err)
	}
	known, err := h.Accounts.Get(r.Context(), who.GetName())
	if apierrors.IsNotFound(err) { // a service account
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		err = &Error{Code: "invalid_token", Description: "the token is not one of a user", Status: http.StatusUnauthorized}
	}
	if err != nil {
		return answer(w, r, nil, err)
	}
	profile, err := h.profileOf(r.Context(), known, scopes)
	return answer(w, r, UserInfo{Subject: known.Name, Profile: profile}, err)
}

// grantedScopes are those of the access token, which may be fewer than those of its
// session. Tokens that were got without naming scopes, as clients of KubeSphere 3.x
// do, tell what their session or client is restricted to, and all without a
// restriction.
func (h *Handler) grantedScopes(r *http.Request, who user.Info) ([]string, error) {
	if scopes := who.GetExtra()[authn.ExtraTokenScopes]; len(scopes) > 0 {
		return scopes, nil
	}
	for _, id := range who.GetExtra()[authn.ExtraSession] {
		found, err := h.Sessions.Get(r.Context(), id)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if len(found.Spec.Scopes) > 0 {
			return found.Spec.Scopes, nil
		}
		c, err := h.Clients.Find(r.Context(), found.Spec.Client)
		if err != nil {
			return nil, err
		}
		if c != nil && len(c.ScopeRestrictions) > 0 {
			return defaultScopes(c), nil
		}
	}
	return supportedScopes(), nil
}
