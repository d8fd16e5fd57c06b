package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// Introspection is what a token is (RFC 7662 §2.2).
type Introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`
	Session   string   `json:"sid,omitempty"`
}

// introspect serves POST /oauth/introspect.
func (h *Handler) introspect(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.describeToken(w, r)
	return answer(w, r, reply, err)
}

func (h *Handler) describeToken(w http.ResponseWriter, r *http.Request) (*Introspection, error) {
	form, c, err := h.tokenForm(w, r)
	if err != nil {
		return nil, err
	}
	if c.Public() { // anybody can say that name
		return nil, invalidClient()
	}
	text := form.Get("token")
	claims, err := h.Tokens.Verify(r.Context(), text)
	switch {
	case err == nil:
		who, err := h.bearer(r, text)
		if err != nil || who == nil {
			return &Introspection{}, err
		}
		return &Introspection{
			Active: true, Scope: claims.Scope, ClientID: claims.Client, Username: claims.Subject, TokenType: "Bearer",
			ExpiresAt: claims.ExpiresAt.Unix(), IssuedAt: claims.IssuedAt.Unix(), Subject: claims.Subject, Audience: claims.Audience,
			Issuer: claims.Issuer, ID: claims.ID, Session: claims.Session,
		}, nil
	case !errors.Is(err, token.ErrInvalid) && !errors.Is(err, token.ErrExpired):
		return nil, err
	}
	// A refresh token is nobody's business but its client's.
	found, err := h.Sessions.Peek(r.Context(), text, c.Name)
	if errors.Is(err, session.ErrInvalid) || errors.Is(err, session.ErrEnded) {
		return &Introspection{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &Introspection{
		Active: true, Scope: strings.Join(found.Spec.Scopes, " "), ClientID: found.Spec.Client, Username: found.Spec.User, TokenType: "refresh_token",
		ExpiresAt: found.Spec.ExpirationTime.Unix(), IssuedAt: found.CreationTimestamp.Unix(), Subject: found.Spec.User, Issuer: h.Tokens.Issuer, Session: found.Name,
	}, nil
}

// tokenForm reads a request of a client about a token.
func (h *Handler) tokenForm(w http.ResponseWriter, r *http.Request) (url.Values, *oauthclient.Client, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, nil, err
	}
	c, err := h.authenticateClient(r, form)
	if err != nil {
		return nil, nil, err
	}
	if form.Get("token") == "" {
		return nil, nil, invalidRequest(http.StatusBadRequest, "token is missing")
	}
	return form, c, nil
}

// revoke serves POST /oauth/revoke (RFC 7009). It ends the session of an access
// or refresh token, and so all tokens of that session. A token that is unknown,
// or that of another client, is no error: the answer must not tell.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	form, c, err := h.tokenForm(w, r)
	if err == nil {
		err = h.endSessionOf(r, form.Get("token"), c)
	}
	if err != nil {
		return answer(w, r, nil, err)
	}
	noStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) endSessionOf(r *http.Request, text string, c *oauthclient.Client) error {
	const reason = "the client revoked it"
	claims, err := h.Tokens.Verify(r.Context(), text)
	switch {
	case err == nil && claims.Client == c.Name && claims.Session != "":
		return h.Sessions.End(r.Context(), claims.Session, reason)
	case err == nil || errors.Is(err, token.ErrExpired):
		return nil
	case !errors.Is(err, token.ErrInvalid):
		return err
	}
	found, err := h.Sessions.Peek(r.Context(), text, c.Name)
	if errors.Is(err, session.ErrInvalid) || errors.Is(err, session.ErrEnded) {
		return nil
	}
	if err != nil {
		return err
	}
	return h.Sessions.End(r.Context(), found.Name, reason)
}

// bearer is the user of an access token, as the API sees him; nil for a token
// the API refuses.
func (h *Handler) bearer(r *http.Request, text string) (user.Info, error) {
	request := (&http.Request{Header: http.Header{"Authorization": {"Bearer " + text}}, RemoteAddr: r.RemoteAddr}).WithContext(r.Context())
	found, ok, err := h.Bearer.AuthenticateRequest(request)
	switch {
	case errors.Is(err, token.ErrNotReady), r.Context().Err() != nil:
		return nil, err
	case err != nil && unreachable(err):
		return nil, err
	case err != nil, !ok, found.User.GetName() == user.Anonymous:
		return nil, nil
	}
	return found.User, nil
}
