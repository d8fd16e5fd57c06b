package oauth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// errProvider is wrapped by the errors of identity providers that do not answer.
var errProvider = errors.New("the identity provider does not answer")

// visitSeconds is how long somebody may take at a provider.
const visitSeconds = 15 * 60

// visit is what the browser keeps of its way to a provider and back.
type visit struct {
	Provider string `json:"p"`
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Continue string `json:"c"`
}

// provider returns a provider of the kind that is wanted.
func (h *Handler) provider(ctx context.Context, name string, wanted func(*identity.Provider) bool) (*identity.Provider, error) {
	missing := &Error{Code: "invalid_request", Description: "there is no such identity provider", Status: http.StatusNotFound}
	if h.Providers == nil || h.External == nil {
		return nil, missing
	}
	found, err := h.Providers.Provider(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case found == nil || !wanted(found):
		return nil, missing
	}
	return found, nil
}

// checkProvider says who has a name and a password at a provider.
func (h *Handler) checkProvider(r *http.Request, name, username, password string) (*person, error) {
	provider, err := h.provider(r.Context(), name, func(p *identity.Provider) bool { return p.Password != nil })
	if err != nil {
		return nil, err
	}
	if username == "" || password == "" { // LDAP takes an empty password for an anonymous login
		return nil, identity.ErrIncorrect
	}
	external, err := h.Attempts.Authenticate(r.Context(), provider, identity.Attempt{Name: username, Password: password, Address: request.ClientAddress(r)})
	var throttled *identity.Throttled
	if errors.As(err, &throttled) || errors.Is(err, identity.ErrBusy) {
		h.notChecked(r, username, err)
		return nil, err
	}
	return h.resolve(r, provider, external, err, username, []string{methodPassword})
}

// resolve finds the account of who comes from a provider, and notes the login.
func (h *Handler) resolve(r *http.Request, provider *identity.Provider, external identity.External, err error, username string, methods []string) (*person, error) {
	switch {
	case errors.Is(err, identity.ErrIncorrect):
		h.record(r, "Token", username, false)
		return nil, err
	case err != nil && r.Context().Err() != nil:
		return nil, r.Context().Err()
	case err != nil:
		return nil, providerFailed(r, provider.Name, err)
	}
	user, extra, err := h.External.Resolve(r.Context(), provider, external)
	if err != nil {
		return nil, err
	}
	if user == nil {
		return &person{provider: provider.Name, extra: extra, methods: methods}, nil
	}
	h.record(r, "Token", user.Name, true)
	return &person{user: user, provider: provider.Name, methods: methods}, nil
}

// providerFailed logs why an identity provider could not answer: the client is told
// nothing but that. The error names the address.
func providerFailed(r *http.Request, provider string, err error) error {
	slog.WarnContext(r.Context(), "identity provider failed", "id", request.ID(r.Context()), "provider", provider, "error", err)
	return fmt.Errorf("%w: %s: %w", errProvider, provider, err)
}

// loginProvider serves POST /oauth/login/{provider}: KubeSphere 3.4's way to
// log in at a password provider, for the console.
func (h *Handler) loginProvider(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.loginAt(w, r)
	return answer(w, r, reply, err)
}

func (h *Handler) loginAt(w http.ResponseWriter, r *http.Request) (*TokenReply, error) {
	form, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	c, err := h.console(r)
	if err != nil {
		return nil, err
	}
	form.Set("provider", r.PathValue("provider"))
	return h.exchange(r, form, c, passwordGrant{h})
}

// visitProvider serves GET /oauth/login/{provider}: it sends the browser there.
func (h *Handler) visitProvider(w http.ResponseWriter, r *http.Request) error {
	provider, err := h.provider(r.Context(), r.PathValue("provider"), func(p *identity.Provider) bool { return p.Redirect != nil })
	if err != nil {
		return h.refusePage(w, r, err)
	}
	// PKCE asks for 43 characters at least.
	going := visit{Provider: provider.Name, State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text(), Continue: r.URL.Query().Get("continue")}
	encoded, err := json.Marshal(going)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	if len(encoded) > 3000 { // browsers keep 4 KB
		return h.refusePage(w, r, invalidRequest(http.StatusBadRequest, "the request is too long"))
	}
	to, err := provider.Redirect.LoginURL(r.Context(), h.visitOf(provider.Name, going))
	if err != nil {
		return h.refusePage(w, r, providerFailed(r, provider.Name, err))
	}
	h.setCookie(w, cookieReturn, base64.RawURLEncoding.EncodeToString(encoded), visitSeconds)
	h.redirect(w, r, to)
	return nil
}

func (h *Handler) visitOf(provider string, going visit) identity.Visit {
	return identity.Visit{
		CallbackURL: h.url("/oauth/callback/" + url.PathEscape(provider)), State: going.State, Nonce: going.Nonce, Verifier: going.Verifier,
	}
}

// callback serves GET and POST /oauth/callback/{provider}, where a provider
// sends the browser back to. A browser we sent there has a cookie and goes on
// logging in; the console's server, which began the visit itself, is answered
// with tokens.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	if h.cookie(r, cookieReturn) == "" {
		reply, err := h.callbackOfConsole(w, r)
		return answer(w, r, reply, err)
	}
	values, err := parameters(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	back, found := h.returned(r, r.PathValue("provider"), values.Get("state"))
	h.setCookie(w, cookieReturn, "", 0) // for one return only
	if !found {
		return h.refusePage(w, r, errVisit())
	}
	who, err := h.comeBack(r, back, values)
	switch {
	case errors.Is(err, identity.ErrIncorrect), errors.Is(err, identity.ErrNotMapped):
		problem := "The login at " + back.Provider + " failed."
		if errors.Is(err, identity.ErrNotMapped) {
			problem = sentence(err.Error())
		}
		return h.showLogin(w, r, http.StatusForbidden, back.Continue, url.Values{}, problem)
	case err != nil:
		return h.refusePage(w, r, err)
	}
	return h.logIn(w, r, who, back.Continue)
}

// returned is the visit a browser comes back from: one of the provider, with
// the state that was sent along.
func (h *Handler) returned(r *http.Request, provider, state string) (visit, bool) {
	var back visit
	encoded, err := base64.RawURLEncoding.DecodeString(h.cookie(r, cookieReturn))
	if err != nil || json.Unmarshal(encoded, &back) != nil {
		return visit{}, false
	}
	same := subtle.ConstantTimeCompare([]byte(back.State), []byte(state)) == 1
	return back, same && back.State != "" && back.Provider == provider
}

// comeBack says who came back from a provider.
func (h *Handler) comeBack(r *http.Request, back visit, values url.Values) (*person, error) {
	provider, err := h.provider(r.Context(), back.Provider, func(p *identity.Provider) bool { return p.Redirect != nil })
	if err != nil {
		return nil, err
	}
	external, err := provider.Redirect.Return(r.Context(), h.visitOf(back.Provider, back), values)
	return h.resolve(r, provider, external, err, "", []string{"fed"})
}

// callbackOfConsole answers the console's server, which compares the state itself.
func (h *Handler) callbackOfConsole(w http.ResponseWriter, r *http.Request) (*TokenReply, error) {
	values, err := parameters(w, r)
	if err != nil {
		return nil, err
	}
	c, err := h.console(r)
	if err != nil {
		return nil, err
	}
	scopes, err := scopesOf("", c)
	if err != nil {
		return nil, err
	}
	who, err := h.comeBack(r, visit{Provider: r.PathValue("provider"), State: values.Get("state")}, values)
	if err != nil {
		return nil, err
	}
	given, err := h.start(r.Context(), h.login(r, c, scopes), who)
	if err != nil {
		return nil, err
	}
	return h.reply(r, c, given)
}
