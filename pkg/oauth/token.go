package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// TokenReply is the answer to a token request (RFC 6749 §5.1).
type TokenReply struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// ExpiresIn is how long the access token is valid, in seconds.
	ExpiresIn int64 `json:"expires_in"`
	// IDToken says who logged in, if the scope openid was asked for.
	IDToken string `json:"id_token,omitempty"`
	// Scope are the scopes that were granted.
	Scope string `json:"scope,omitempty"`
}

// grant is one way to get a token. It is called with a client that is who it
// says, and a form without repeated parameters; everything all grants share is
// done by its caller and cannot be forgotten.
type grant interface {
	// public reports whether clients without a secret may use it.
	public() bool
	run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error)
}

// issued is what a grant gives tokens for.
type issued struct {
	session *iamv1alpha2.Session
	// refreshToken is empty where there is none.
	refreshToken string
	extra        map[string][]string
	// withoutID keeps an ID token from being issued, whatever the scopes.
	withoutID bool
}

// The grant types. KubeSphere 3.x calls the second one code.
const (
	grantPassword          = "password"
	grantCode              = "authorization_code"
	grantCode3             = "code"
	grantRefreshToken      = "refresh_token"
	grantClientCredentials = "client_credentials"
	grantDevice            = "urn:ietf:params:oauth:grant-type:device_code"
)

func (h *Handler) grants() map[string]grant {
	grants := map[string]grant{
		grantCode:              codeGrant{h},
		grantCode3:             codeGrant{h},
		grantRefreshToken:      refreshGrant{h},
		grantClientCredentials: clientGrant{h},
		grantDevice:            deviceGrant{h},
	}
	if h.PasswordGrant {
		grants[grantPassword] = passwordGrant{h}
	}
	return grants
}

// Token serves POST /oauth/token.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.token(w, r)
	return answer(w, r, reply, err)
}

// answer writes a reply that no cache may keep, or an error.
func answer(w http.ResponseWriter, r *http.Request, reply any, err error) error {
	if err != nil {
		writeError(w, r, translate(err))
		return nil
	}
	noStore(w)
	status.WriteJSON(w, http.StatusOK, reply)
	return nil
}

func (h *Handler) token(w http.ResponseWriter, r *http.Request) (*TokenReply, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	c, err := h.authenticateClient(r, form)
	if err != nil {
		return nil, err
	}
	by, found := h.grants()[form.Get("grant_type")]
	switch {
	case form.Get("grant_type") == "":
		return nil, invalidRequest(http.StatusBadRequest, "grant_type is missing")
	case !found:
		return nil, &Error{Code: "unsupported_grant_type", Description: "the grant type is not supported", Status: http.StatusBadRequest}
	case c.Public() && !by.public():
		return nil, unauthorizedClient("the grant type is not for clients without a secret")
	}
	return h.exchange(r, form, c, by)
}

// exchange answers with the tokens of a grant.
func (h *Handler) exchange(r *http.Request, form url.Values, c *oauthclient.Client, by grant) (*TokenReply, error) {
	given, err := by.run(r, form, c)
	if err != nil {
		return nil, err
	}
	return h.reply(r, c, given)
}

// reply issues the tokens of a session.
func (h *Handler) reply(r *http.Request, c *oauthclient.Client, given issued) (*TokenReply, error) {
	spec, lifetime := &given.session.Spec, h.lifetime(c)
	access, err := h.Tokens.Issue(token.Grant{
		User: spec.User, Client: c.Name, Session: given.session.Name, Scopes: spec.Scopes, Extra: given.extra, Lifetime: lifetime,
	})
	if err != nil {
		return nil, err
	}
	reply := &TokenReply{
		AccessToken: access, TokenType: "Bearer", RefreshToken: given.refreshToken, ExpiresIn: int64(lifetime.Seconds()), Scope: strings.Join(spec.Scopes, " "),
	}
	if !slices.Contains(spec.Scopes, scopeOpenID) || given.withoutID || spec.User == identity.PreRegistration {
		return reply, nil
	}
	user, err := h.Accounts.Get(r.Context(), spec.User)
	if err != nil {
		return nil, err
	}
	profile, err := h.profileOf(r.Context(), user, spec.Scopes)
	if err != nil {
		return nil, err
	}
	id := token.IDGrant{
		User: spec.User, Client: c.Name, Session: given.session.Name, AccessToken: access,
		Methods: spec.AuthenticationMethods, Profile: profile, Lifetime: lifetime,
	}
	if spec.Code != nil {
		id.Nonce = spec.Code.Nonce
	}
	if spec.AuthenticationTime != nil {
		id.AuthTime = spec.AuthenticationTime.Time
	}
	reply.IDToken, err = h.Tokens.IssueID(id)
	return reply, err
}

// authenticateClient accepts the client's credentials in the body or by HTTP
// Basic, not both (RFC 6749 §2.3.1). A bearer token here means nothing: the
// console sends its refresh token that way. A client without a secret says who
// it is and no more; what it may do then is for the caller to decide.
func (h *Handler) authenticateClient(r *http.Request, form url.Values) (*oauthclient.Client, error) {
	name, secret := form.Get("client_id"), form.Get("client_secret")
	if basicName, basicSecret, found := r.BasicAuth(); found {
		if secret != "" {
			return nil, invalidRequest(http.StatusBadRequest, "the client authenticates in two ways")
		}
		var err1, err2 error
		basicName, err1 = url.QueryUnescape(basicName)
		basicSecret, err2 = url.QueryUnescape(basicSecret)
		if err1 != nil || err2 != nil || name != "" && name != basicName {
			return nil, invalidClient()
		}
		name, secret = basicName, basicSecret
	}
	c, err := h.Clients.Find(r.Context(), name)
	if err != nil {
		return nil, err
	}
	if c == nil || c.Public() != (secret == "") {
		return nil, invalidClient()
	}
	if c.Public() {
		return c, nil
	}
	err = h.ClientSecrets.Check(r.Context(), identity.ClientSecret{
		Client: c.Name, Address: request.ClientAddress(r), Stored: c.Secret, Sent: secret, Hashed: c.Hashed(), Verify: c.Authenticates,
	})
	var throttled *identity.Throttled
	switch {
	case errors.Is(err, identity.ErrIncorrect):
		return nil, invalidClient()
	case errors.As(err, &throttled):
		return nil, &Error{Code: "invalid_client", Description: throttled.Error(), Status: http.StatusTooManyRequests, RetryAfter: status.Seconds(throttled.After)}
	case err != nil:
		return nil, err
	}
	return c, nil
}
