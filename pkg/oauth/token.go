package oauth

import (
	"context"
	"errors"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// maxForm bounds the form of a token request, in bytes.
const maxForm = 64 << 10

// TokenReply is the answer to a token request (RFC 6749 §5.1).
type TokenReply struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
	// ExpiresIn is how long the access token is valid, in seconds.
	ExpiresIn int64 `json:"expires_in"`
}

// Handler serves the OAuth endpoints.
type Handler struct {
	Clients   *oauthclient.Clients
	Passwords *identity.Passwords
	Sessions  *session.Sessions
	Tokens    *token.Service
	Accounts  interface {
		Account(ctx context.Context, name string) (iam.Account, bool, error)
	}
	// Lifetime is how long an access token is valid, unless its client says otherwise.
	Lifetime time.Duration
	// Record notes attempts to log in; nil for not at all.
	Record func(iam.Login)
	// MultipleLogin lets a login leave the user's other sessions alone.
	MultipleLogin bool
}

// subject is who a grant gives a token to.
type subject struct {
	user         string
	session      string
	refreshToken string
	extra        map[string][]string
}

// grant is one way to get a token. It is called with an authenticated client
// and a form without repeated parameters; everything all grants share is done
// by its caller and cannot be forgotten.
type grant func(ctx context.Context, form url.Values, c *oauthclient.Client) (subject, error)

func (h *Handler) grants() map[string]grant {
	return map[string]grant{
		"password":      h.passwordGrant,
		"refresh_token": h.refreshGrant,
	}
}

// Token serves POST /oauth/token.
func (h *Handler) Token(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.token(w, r)
	if err != nil {
		writeError(w, r, err)
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
	run, found := h.grants()[form.Get("grant_type")]
	switch {
	case form.Get("grant_type") == "":
		return nil, invalidRequest(http.StatusBadRequest, "grant_type is missing")
	case !found:
		return nil, &Error{Code: "unsupported_grant_type", Description: "the grant type is not supported", Status: http.StatusBadRequest}
	}
	return h.issue(r, form, c, run)
}

// issue answers with the tokens of a grant.
func (h *Handler) issue(r *http.Request, form url.Values, c *oauthclient.Client, run grant) (*TokenReply, error) {
	who, err := run(r.Context(), form, c)
	h.record(r, form, who, err)
	if err != nil {
		return nil, translate(err)
	}
	lifetime := h.Lifetime
	if c.AccessTokenMaxAgeSeconds > 0 {
		lifetime = time.Duration(c.AccessTokenMaxAgeSeconds) * time.Second
	}
	access, err := h.Tokens.Issue(token.Grant{User: who.user, Client: c.Name, Session: who.session, Extra: who.extra, Lifetime: lifetime})
	if err != nil {
		return nil, translate(err)
	}
	return &TokenReply{AccessToken: access, TokenType: "Bearer", RefreshToken: who.refreshToken, ExpiresIn: int64(lifetime.Seconds())}, nil
}

// record notes an attempt to log in by password. The address is that of the
// connection: what headers say, anybody can.
func (h *Handler) record(r *http.Request, form url.Values, who subject, err error) {
	if h.Record == nil || form.Get("grant_type") != "password" || err != nil && !errors.Is(err, identity.ErrIncorrect) {
		return
	}
	address, _, splitErr := net.SplitHostPort(r.RemoteAddr)
	if splitErr != nil {
		address = r.RemoteAddr
	}
	login := iam.Login{User: who.user, Type: "Token", SourceIP: address, UserAgent: r.UserAgent(), Success: err == nil}
	if err != nil {
		login.User = form.Get("username")
	}
	h.Record(login)
}

// readForm reads the parameters from the body only: a password in a URL ends
// up in logs (RFC 6749 §2.3.1, RFC 9700).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalidRequest(http.StatusUnsupportedMediaType, "the body must be of type application/x-www-form-urlencoded")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, invalidRequest(http.StatusBadRequest, "the form is not validly encoded")
	}
	for name, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalidRequest(http.StatusBadRequest, "the parameter "+printable(name)+" is there twice")
		}
	}
	return r.PostForm, nil
}

// printable keeps a parameter's name within the characters RFC 6749 §5.2
// allows in descriptions.
func printable(name string) string {
	for _, c := range name {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return "given"
		}
	}
	return name[:min(len(name), 64)]
}

// authenticateClient accepts the client's credentials in the body or by HTTP
// Basic, not both (RFC 6749 §2.3.1). A bearer token here means nothing: the
// console sends its refresh token that way.
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
		return nil, translate(err)
	}
	if c == nil || !c.Authenticates(secret) {
		return nil, invalidClient()
	}
	return c, nil
}

func (h *Handler) passwordGrant(ctx context.Context, form url.Values, c *oauthclient.Client) (subject, error) {
	if !c.Trusted {
		return subject{}, &Error{Code: "unauthorized_client", Description: "the client may not use passwords", Status: http.StatusBadRequest}
	}
	user, err := h.Passwords.Authenticate(ctx, form.Get("username"), form.Get("password"))
	if err != nil {
		return subject{}, err
	}
	created, refreshToken, err := h.Sessions.Create(ctx, user.Name, c.Name)
	if err != nil {
		return subject{}, err
	}
	if !h.MultipleLogin {
		if err := h.Sessions.EndOthers(ctx, user.Name, created.Name, "the user logged in again"); err != nil {
			return subject{}, err
		}
	}
	who := subject{user: user.Name, session: created.Name, refreshToken: refreshToken}
	if value := user.Annotations[iamv1alpha2.AnnotationUninitialized]; value != "" {
		who.extra = map[string][]string{"uninitialized": {value}}
	}
	return who, nil
}

func (h *Handler) refreshGrant(ctx context.Context, form url.Values, c *oauthclient.Client) (subject, error) {
	refreshed, refreshToken, err := h.Sessions.Refresh(ctx, form.Get("refresh_token"), c.Name)
	if err != nil {
		return subject{}, err
	}
	account, found, err := h.Accounts.Account(ctx, refreshed.Spec.User)
	if err != nil {
		return subject{}, err
	}
	if !found || account.State == iamv1alpha2.UserDisabled {
		return subject{}, session.ErrEnded
	}
	return subject{user: account.Name, session: refreshed.Name, refreshToken: refreshToken}, nil
}

// translate gives errors of the domains their RFC 6749 code.
func translate(err error) error {
	switch {
	case errors.Is(err, identity.ErrIncorrect):
		return invalidGrant("incorrect user name or password")
	case errors.Is(err, identity.ErrBusy):
		return &Error{Code: "temporarily_unavailable", Description: "too many logins at the moment", Status: http.StatusTooManyRequests, RetryAfter: 5}
	case errors.Is(err, session.ErrInvalid), errors.Is(err, session.ErrEnded), errors.Is(err, session.ErrReused):
		return invalidGrant("the refresh token is invalid or expired")
	case errors.Is(err, token.ErrNotReady), kube.Unavailable(err):
		return unavailable()
	}
	return err
}
