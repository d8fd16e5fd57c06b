package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

// purposeLogin is what the token of the login form is made for.
const purposeLogin = "login"

// loginPage serves GET /oauth/login.
func (h *Handler) loginPage(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	continued := values.Get("continue")
	browser, err := h.browser(r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	if browser != nil && continued == "" {
		return h.showLogout(w, r, browser, nil)
	}
	return h.showLogin(w, r, http.StatusOK, continued, url.Values{}, "")
}

// showLogin shows the login form, filled in with what was typed before.
func (h *Handler) showLogin(w http.ResponseWriter, r *http.Request, code int, continued string, typed url.Values, problem string) error {
	ctx := r.Context()
	username := typed.Get("username")
	var client, target string
	if name, query, _ := strings.Cut(continued, "?"); name == "authorize" {
		values, err := parseQuery(query)
		if err != nil {
			return h.refusePage(w, r, err)
		}
		// Nobody is asked for a password for the sake of an unknown client.
		a, err := h.parseAuthorization(ctx, values)
		if err != nil {
			return h.refuse(w, r, a, err)
		}
		client, target = a.client.Name, a.redirectURI
		if username == "" {
			username = values.Get("login_hint")
		}
	}
	type choice struct{ Name, Title, URL string }
	var passwords, redirects []choice
	providers, err := h.providers(ctx)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	for _, provider := range providers {
		title := provider.Title
		if title == "" {
			title = provider.Name
		}
		if provider.Password != nil {
			passwords = append(passwords, choice{Name: provider.Name, Title: title})
		}
		if provider.Redirect != nil {
			link := h.path("/oauth/login/"+url.PathEscape(provider.Name)) + "?" + url.Values{"continue": {continued}}.Encode()
			redirects = append(redirects, choice{Title: title, URL: link})
		}
	}
	return h.show(w, page{code: code, title: "Log in", problem: problem, body: "login", leadsTo: target, data: map[string]any{
		"Action": h.path("/oauth/login"), "Token": h.beginVisit(w, r, purposeLogin), "Continue": continued, "Client": client, "Product": h.Product,
		"Username": username, "Provider": typed.Get("provider"), "Passwords": passwords, "Redirects": redirects,
	}})
}

// providers are those to offer.
func (h *Handler) providers(ctx context.Context) ([]*identity.Provider, error) {
	if h.Providers == nil {
		return nil, nil
	}
	all, err := h.Providers.List(ctx)
	return slices.DeleteFunc(slices.Clone(all), func(p *identity.Provider) bool { return p.Hidden }), err
}

// submitLogin serves POST /oauth/login, the login form.
func (h *Handler) submitLogin(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	if !h.sameVisit(r, form, purposeLogin) {
		return h.refusePage(w, r, errVisit())
	}
	who, err := h.checkPassword(r, form.Get("provider"), form.Get("username"), form.Get("password"), "Token")
	if err != nil {
		return h.failLogin(w, r, form.Get("continue"), form, err)
	}
	return h.logIn(w, r, who, form.Get("continue"))
}

// failLogin shows the login page again with what is wrong.
func (h *Handler) failLogin(w http.ResponseWriter, r *http.Request, continued string, typed url.Values, err error) error {
	var known *Error
	if !errors.As(translate(err), &known) {
		return h.refusePage(w, r, err)
	}
	if known.RetryAfter > 0 {
		retryAfter(w, known.RetryAfter)
	}
	code := known.Status
	if code == http.StatusBadRequest {
		code = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `FormBased realm="`+realm+`"`) // RFC 9110 asks for one; browsers ignore it
	}
	return h.showLogin(w, r, code, continued, typed, sentence(known.Description))
}

// logIn logs the browser in and goes on with what asked for it.
func (h *Handler) logIn(w http.ResponseWriter, r *http.Request, who *person, continued string) error {
	if who.user == nil {
		return h.refusePage(w, r, &Error{Code: "access_denied", Status: http.StatusForbidden,
			Description: "your account has to be confirmed first: log in to the console once"})
	}
	ctx := r.Context()
	// Who was logged in before is so no longer, nor is a session taken over
	// that somebody else may know.
	before, err := h.browser(r)
	if err == nil && before != nil {
		err = h.replace(ctx, before, who)
	}
	if err != nil {
		return h.refusePage(w, r, err)
	}
	created, cookie, err := h.Sessions.StartBrowser(ctx, session.Login{
		User: who.user.Name, Provider: who.provider, Methods: who.methods, Address: request.ClientAddress(r), UserAgent: r.UserAgent(),
	})
	if err == nil {
		err = h.began(ctx, created)
	}
	if err != nil {
		return h.refusePage(w, r, err)
	}
	h.setCookie(w, cookieLogin, cookie, 0)
	h.redirect(w, r, h.loggedIn(continued))
	return nil
}

// replace ends a browser session for the next one. What the same user began
// from it goes on.
func (h *Handler) replace(ctx context.Context, before *iamv1alpha2.Session, who *person) error {
	if before.Spec.User == who.user.Name {
		return h.Sessions.End(ctx, before.Name, "the user logged in again")
	}
	return h.Sessions.EndBrowser(ctx, before, "somebody else logged in")
}

// describe says what an application is allowed.
func describe(scopes []string) []string {
	lines := []string{"Do everything you may do, on your behalf"}
	for _, known := range []struct{ scope, text string }{
		{scopeOpenID, "Know who you are"},
		{scopeProfile, "See your name and your language"},
		{scopeEmail, "See your e-mail address"},
		{scopeGroups, "See the groups you are in"},
		{scopeOffline, "Go on after you log out"},
	} {
		if slices.Contains(scopes, known.scope) {
			lines = append(lines, known.text)
		}
	}
	return lines
}

// consentPage asks the user whether a client may act for him.
func (h *Handler) consentPage(w http.ResponseWriter, r *http.Request, a *authorization, browser *iamv1alpha2.Session, user *iamv1alpha2.User) error {
	return h.show(w, page{title: "Allow " + a.client.Name + "?", body: "consent", leadsTo: a.redirectURI, data: map[string]any{
		"Action": h.path("/oauth/consent"), "Token": h.beginVisit(w, r, browser.Name), "Continue": "authorize?" + a.query.Encode(),
		"User": user.Name, "Client": a.client.Name, "Scopes": describe(a.scopes), "Target": strings.TrimSpace(formTarget(a.redirectURI)),
	}})
}
