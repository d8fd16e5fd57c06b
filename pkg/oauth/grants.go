package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"

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
		login.Extra, login.Scopes = who.extra, nil
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
	refreshed, refreshToken, err := h.Sessions.Refresh(ctx, form.Get("refresh_token"), c.Name)
	if err != nil {
		return issued{}, err
	}
	if refreshed.Spec.User == identity.PreRegistration {
		return h.registered(r, refreshed, c)
	}
	account, found, err := h.Accounts.Account(ctx, refreshed.Spec.User)
	if err != nil {
		return issued{}, err
	}
	if !found || account.State == iamv1alpha2.UserDisabled {
		return issued{}, session.ErrEnded
	}
	// A client may ask for less than it was granted, for one access token.
	scopes, err := scopesOf(form.Get("scope"), c)
	if err != nil {
		return issued{}, err
	}
	if len(scopes) > 0 {
		for _, scope := range scopes {
			if !slices.Contains(refreshed.Spec.Scopes, scope) {
				return issued{}, invalidScope("the scope was not granted")
			}
		}
		refreshed = refreshed.DeepCopy()
		refreshed.Spec.Scopes = scopes
	}
	if refreshed.Spec.Code != nil { // the nonce is for the first ID token
		refreshed = refreshed.DeepCopy()
		refreshed.Spec.Code = nil
	}
	return issued{session: refreshed, refreshToken: refreshToken}, nil
}

// registered gives tokens to somebody of an identity provider who has got an
// account since he came: so the console ends a registration.
func (h refreshGrant) registered(r *http.Request, before *iamv1alpha2.Session, c *oauthclient.Client) (issued, error) {
	ctx := r.Context()
	name, found, err := h.Accounts.NameByOrigin(ctx, first(before.Spec.Extra["idp"]), first(before.Spec.Extra["uid"]))
	if err != nil {
		return issued{}, err
	}
	if !found {
		return issued{}, session.ErrEnded
	}
	user, err := h.Accounts.Get(ctx, name)
	if err != nil {
		return issued{}, err
	}
	if user.Status.State != iamv1alpha2.UserActive {
		return issued{}, session.ErrEnded
	}
	if err := h.Sessions.End(ctx, before.Name, "the account was registered"); err != nil {
		return issued{}, err
	}
	return h.start(ctx, h.login(r, c, nil), &person{user: user, provider: before.Spec.Provider, methods: before.Spec.AuthenticationMethods})
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
	created, refreshToken, err := h.Sessions.Exchange(r.Context(), form.Get("code"), c.Name, form.Get("redirect_uri"), form.Get("code_verifier"))
	if err != nil {
		if errors.Is(err, session.ErrInvalid) || errors.Is(err, session.ErrEnded) || errors.Is(err, session.ErrReused) {
			return issued{}, invalidGrant("the authorization code is invalid or expired")
		}
		return issued{}, err
	}
	return h.active(r.Context(), created, refreshToken)
}

// active gives tokens for a session that began in a browser, if its user may
// still log in.
func (h *Handler) active(ctx context.Context, created *iamv1alpha2.Session, refreshToken string) (issued, error) {
	user, err := h.Accounts.Get(ctx, created.Spec.User)
	if err != nil {
		return issued{}, err
	}
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
	// Nobody is there whom an ID token could be about.
	login := h.login(r, c, slices.DeleteFunc(scopes, func(scope string) bool { return scope == scopeOpenID || scope == scopeOffline }))
	login.User, login.AccessToken = c.User, h.lifetime(c)
	created, err := h.Sessions.StartUnrefreshed(r.Context(), login)
	return issued{session: created}, err
}
