package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

// methodPassword is how somebody logged in who typed a password (RFC 8176).
const methodPassword = "pwd"

// passwordGrant exchanges the name and the password of a user (RFC 6749 §4.3).
// It is for clients that may see passwords: others send the user to the login
// page (RFC 9700 §2.4).
type passwordGrant struct{ *Handler }

// Whether a client may see passwords is a matter of trust, not of a secret that
// is in every copy of it.
func (passwordGrant) public() bool { return true }

func (h passwordGrant) run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error) {
	if !c.Trusted {
		return issued{}, unauthorizedClient("the client may not use passwords")
	}
	scopes, err := scopesOf(form.Get("scope"), c)
	if err != nil {
		return issued{}, err
	}
	login := h.login(r, c, scopes)
	who, err := h.checkPassword(r, form.Get("provider"), form.Get("username"), form.Get("password"), "Token")
	if err != nil {
		return issued{}, err
	}
	return h.start(r.Context(), login, who)
}

// person is who logged in.
type person struct {
	// user is nil for somebody from a provider who has no account yet.
	user     *iamv1alpha2.User
	provider string
	extra    map[string][]string
	methods  []string
}

// name is that of the user tokens are for.
func (p *person) name() string {
	if p.user == nil {
		return identity.PreRegistration
	}
	return p.user.Name
}

// start begins the session of somebody who just proved who he is.
func (h *Handler) start(ctx context.Context, login session.Login, who *person) (issued, error) {
	login.User, login.Provider, login.Methods = who.name(), who.provider, who.methods
	extra := who.extra
	if who.user != nil {
		extra = extraOf(who.user)
	} else {
		login.Extra = who.extra
	}
	created, refreshToken, err := h.Sessions.Start(ctx, login)
	if err != nil {
		return issued{}, err
	}
	return issued{session: created, refreshToken: refreshToken, extra: extra}, h.began(ctx, created)
}

// checkPassword says who has a name and a password, here or at a provider.
func (h *Handler) checkPassword(r *http.Request, provider, name, password, kind string) (*person, error) {
	if provider != "" {
		return h.checkProvider(r, provider, name, password)
	}
	user, err := h.Passwords.Authenticate(r.Context(), identity.Attempt{Name: name, Password: password, Address: request.ClientAddress(r)})
	switch {
	case err == nil:
		h.record(r, kind, user.Name, true)
	case errors.Is(err, identity.ErrIncorrect):
		h.record(r, kind, name, false)
	default:
		h.notChecked(r, name, err)
	}
	if err != nil {
		return nil, err
	}
	return &person{user: user, methods: []string{methodPassword}}, nil
}

// notChecked logs a login whose password was not looked at.
func (h *Handler) notChecked(r *http.Request, name string, err error) {
	slog.InfoContext(r.Context(), "login not checked", "id", request.ID(r.Context()), "user", name, "address", request.ClientAddress(r), "reason", err)
}

// refreshGrant exchanges a refresh token (RFC 6749 §6).
type refreshGrant struct{ *Handler }

func (refreshGrant) public() bool { return true }

func (h refreshGrant) run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error) {
	ctx := r.Context()
	var scopes []string
	var registered *iamv1alpha2.User
	// What is refused leaves the refresh token as it was.
	refreshed, refreshToken, err := h.Sessions.Refresh(ctx, form.Get("refresh_token"), c.Name, func(s *iamv1alpha2.Session) (err error) {
		if s.Spec.User == identity.PreRegistration {
			registered, err = h.registered(ctx, s)
			return err
		}
		account, found, err := h.Accounts.Account(ctx, s.Spec.User)
		if err != nil {
			return err
		}
		if !found || account.State == iamv1alpha2.UserDisabled {
			return session.ErrEnded
		}
		scopes, err = refreshedScopes(form.Get("scope"), s, c)
		return err
	})
	if err != nil {
		return issued{}, err
	}
	if registered != nil {
		return h.startRegistered(r, refreshed, registered, c)
	}
	refreshed = refreshed.DeepCopy()
	// They are for one access token, and the nonce is for the first ID token.
	refreshed.Spec.Scopes, refreshed.Spec.Code = scopes, nil
	return issued{session: refreshed, refreshToken: refreshToken}, nil
}

// refreshedScopes are those of the next access token of a session: all the session
// was granted, unless the client asks for less (RFC 6749 §6).
func refreshedScopes(text string, s *iamv1alpha2.Session, c *oauthclient.Client) ([]string, error) {
	if len(strings.Fields(text)) == 0 {
		return sessionScopes(s, c), nil
	}
	scopes, err := scopesOf(text, c)
	if err != nil {
		return nil, err
	}
	for _, scope := range scopes {
		if !slices.Contains(s.Spec.Scopes, scope) {
			return nil, invalidScope("the scope was not granted")
		}
	}
	return scopes, nil
}

// registered is the user of somebody of an identity provider who has got an account
// since he came.
func (h refreshGrant) registered(ctx context.Context, before *iamv1alpha2.Session) (*iamv1alpha2.User, error) {
	name, found, err := h.Accounts.NameByOrigin(ctx, first(before.Spec.Extra["idp"]), first(before.Spec.Extra["uid"]))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, session.ErrEnded
	}
	user, err := h.Accounts.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	if user.Status.State != iamv1alpha2.UserActive {
		return nil, session.ErrEnded
	}
	return user, nil
}

// startRegistered replaces the session of a visitor by one of the account that was
// registered: so the console ends a registration.
func (h refreshGrant) startRegistered(r *http.Request, before *iamv1alpha2.Session, user *iamv1alpha2.User, c *oauthclient.Client) (issued, error) {
	login := h.login(r, c, sessionScopes(before, c))
	given, err := h.start(r.Context(), login, &person{user: user, provider: before.Spec.Provider, methods: before.Spec.AuthenticationMethods})
	if err != nil {
		return issued{}, err
	}
	return given, h.Sessions.End(r.Context(), before.Name, "the account was registered")
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// codeGrant exchanges an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
type codeGrant struct{ *Handler }

func (codeGrant) public() bool { return true }

func (h codeGrant) run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error) {
	var user *iamv1alpha2.User
	created, refreshToken, err := h.Sessions.Exchange(r.Context(), form.Get("code"), c.Name, form.Get("redirect_uri"), form.Get("code_verifier"), h.readUser(r.Context(), &user))
	if err != nil {
		if errors.Is(err, session.ErrInvalid) || errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrReused) {
			return issued{}, invalidGrant("the authorization code is invalid or expired")
		}
		return issued{}, err
	}
	return h.active(r.Context(), created, refreshToken, user)
}

// readUser reads the user of a session before its code is used: while the user
// cannot be read, the code stays valid.
func (h *Handler) readUser(ctx context.Context, into **iamv1alpha2.User) session.Accept {
	return func(s *iamv1alpha2.Session) (err error) {
		*into, err = h.Accounts.Get(ctx, s.Spec.User)
		return err
	}
}

// active gives tokens for a session that began in a browser, if its user may
// still log in.
func (h *Handler) active(ctx context.Context, created *iamv1alpha2.Session, refreshToken string, user *iamv1alpha2.User) (issued, error) {
	if user.Status.State == iamv1alpha2.UserDisabled || user.DeletionTimestamp != nil {
		return issued{}, errors.Join(session.ErrEnded, h.Sessions.End(ctx, created.Name, "the user is not active"))
	}
	return issued{session: created, refreshToken: refreshToken, extra: extraOf(user)}, nil
}

// clientGrant gives a service a token of the user it was set up for (RFC 6749
// §4.4). Its session can be ended as any other.
type clientGrant struct{ *Handler }

func (clientGrant) public() bool { return false }

func (h clientGrant) run(r *http.Request, form url.Values, c *oauthclient.Client) (issued, error) {
	if c.User == "" {
		return issued{}, unauthorizedClient("the client acts for nobody of its own")
	}
	scopes, err := scopesOf(form.Get("scope"), c)
	if err != nil {
		return issued{}, err
	}
	account, found, err := h.Accounts.Account(r.Context(), c.User)
	if err != nil {
		return issued{}, err
	}
	if !found || account.State != iamv1alpha2.UserActive {
		return issued{}, unauthorizedClient("the user the client acts for is not active")
	}
	if scopes, err = clientScopes(scopes); err != nil {
		return issued{}, err
	}
	login := h.login(r, c, scopes)
	login.User, login.AccessToken = c.User, h.lifetime(c)
	created, err := h.Sessions.StartUnrefreshed(r.Context(), login)
	return issued{session: created, withoutID: true}, err
}

// clientScopes are those of a token a client gets for itself. There is no login that
// an ID token or a longer session could be about. A token without scopes would tell
// more than one with openid alone.
func clientScopes(requested []string) ([]string, error) {
	scopes := slices.DeleteFunc(slices.Clone(requested), func(scope string) bool { return scope == scopeOpenID || scope == scopeOffline })
	switch {
	case len(scopes) > 0 || len(requested) == 0:
		return scopes, nil
	case slices.Contains(requested, scopeOpenID):
		return []string{scopeOpenID}, nil
	}
	return nil, invalidScope("the scope " + scopeOffline + " is for users who log in")
}
