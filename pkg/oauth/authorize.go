package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

// maxAuthorize bounds the parameters of a request for authorization, in bytes:
// they go through the address bar several times. The ID token hint is not among
// them: it counts once, when the request arrives.
const maxAuthorize = 8 << 10

// authorization is a request of a client for a code (RFC 6749 §4.1.1, OpenID
// Connect Core §3.1.2.1).
type authorization struct {
	client *oauthclient.Client
	// redirectURI is where the answer goes, and given what the request named.
	redirectURI, given string
	scopes             []string
	state, nonce       string
	challenge          string
	prompt             []string
	maxAge             time.Duration // negative for any
	hint               string        // the ID token of who should be logged in
	query              url.Values    // without the hint
}

// authorize serves GET and POST /oauth/authorize.
func (h *Handler) authorize(w http.ResponseWriter, r *http.Request) error {
	values, err := parameters(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	a, err := h.parseAuthorization(r.Context(), values)
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	browser, err := h.browser(r)
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	who, err := h.challenged(r, a)
	switch {
	case err != nil:
		return h.refuse(w, r, a, err)
	case who != nil:
		return h.grantCode(w, r, a, who, nil)
	case h.mustLogIn(r.Context(), a, browser):
		if slices.Contains(a.prompt, "none") {
			return h.refuse(w, r, a, &Error{Code: "login_required", Description: "the user is not logged in"})
		}
		if a.client.RespondWithChallenges && !wantsPage(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="`+realm+`"`)
			return answer(w, r, nil, &Error{Code: "login_required", Description: "the user is not logged in", Status: http.StatusUnauthorized})
		}
		h.redirect(w, r, h.path("/oauth/login")+"?"+url.Values{"continue": {"authorize?" + a.query.Encode()}}.Encode())
		return nil
	}
	return h.consent(w, r, a, browser)
}

// parseAuthorization reads a request. An error beside an authorization is for
// the client, else it must not be sent anywhere: whoever made the request
// could be anybody.
func (h *Handler) parseAuthorization(ctx context.Context, values url.Values) (*authorization, error) {
	bad := func(description string) *Error { return invalidRequest(http.StatusBadRequest, description) }
	hint := values.Get("id_token_hint")
	values.Del("id_token_hint")
	if len(values.Encode()) > maxAuthorize {
		return nil, bad("the request is too long")
	}
	c, err := h.Clients.Find(ctx, values.Get("client_id"))
	switch {
	case err != nil:
		return nil, err
	case c == nil:
		return nil, bad("the client is unknown")
	}
	target, allowed := c.RedirectURI(values.Get("redirect_uri"), !h.secure())
	if !allowed {
		return nil, bad("the redirect URI is not registered for the client")
	}
	a := &authorization{
		client: c, redirectURI: target, given: values.Get("redirect_uri"), state: values.Get("state"), nonce: values.Get("nonce"),
		challenge: values.Get("code_challenge"), prompt: strings.Fields(values.Get("prompt")), maxAge: -1, hint: hint, query: values,
	}
	switch {
	case values.Has("request"):
		return a, &Error{Code: "request_not_supported", Description: "request objects are not supported"}
	case values.Has("request_uri"):
		return a, &Error{Code: "request_uri_not_supported", Description: "request objects are not supported"}
	case values.Get("response_type") == "":
		return a, bad("response_type is missing")
	case values.Get("response_type") != "code":
		return a, &Error{Code: "unsupported_response_type", Description: "the only response type is code"}
	case values.Has("response_mode") && values.Get("response_mode") != "query":
		return a, bad("the only response mode is query")
	case a.challenge != "" && values.Get("code_challenge_method") != "S256":
		return a, bad("the only code challenge method is S256")
	case a.challenge != "" && len(a.challenge) != 43:
		return a, bad("the code challenge is no SHA-256 hash")
	case a.challenge == "" && (c.Public() || values.Has("code_challenge_method")):
		return a, bad("a code challenge (PKCE) is needed")
	case slices.Contains(a.prompt, "none") && len(a.prompt) > 1:
		return a, bad("prompt=none stands alone")
	case c.Grants() == config.GrantDeny:
		return a, &Error{Code: "access_denied", Description: "the client may not act for users"}
	}
	for _, prompt := range a.prompt {
		if !slices.Contains(promptValues(), prompt) {
			return a, bad("the prompt is unknown")
		}
	}
	if values.Has("max_age") {
		seconds, err := strconv.ParseUint(values.Get("max_age"), 10, 31)
		if err != nil {
			return a, bad("max_age is no number of seconds")
		}
		a.maxAge = time.Duration(seconds) * time.Second //nolint:gosec // 31 bits
	}
	if a.scopes, err = scopesOf(values.Get("scope"), c); err != nil {
		return a, err
	}
	return a, nil
}

func promptValues() []string { return []string{"none", "login", "consent", "select_account"} }

// mustLogIn reports whether the user has to prove who he is, though he may be
// logged in.
func (h *Handler) mustLogIn(ctx context.Context, a *authorization, browser *iamv1alpha2.Session) bool {
	if browser == nil || slices.Contains(a.prompt, "login") || slices.Contains(a.prompt, "select_account") {
		return true
	}
	if a.maxAge >= 0 {
		proved := browser.Spec.AuthenticationTime
		if proved == nil || h.Sessions.Now().Sub(proved.Time) > a.maxAge+time.Second { // stored in whole seconds
			return true
		}
	}
	if a.hint != "" {
		hint, err := h.Tokens.VerifyID(ctx, a.hint)
		return err != nil || hint.Subject != browser.Spec.User
	}
	return false
}

// consent gives a code if the user agrees, and asks him unless he did so before.
func (h *Handler) consent(w http.ResponseWriter, r *http.Request, a *authorization, browser *iamv1alpha2.Session) error {
	user, err := h.browserUser(r.Context(), browser)
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	ask := a.client.Grants() == config.GrantPrompt || slices.Contains(a.prompt, "consent")
	if ask && !slices.Contains(a.prompt, "consent") {
		agreed, err := h.Sessions.Consented(r.Context(), user, a.client.Name, a.scopes)
		if err != nil {
			return h.refuse(w, r, a, err)
		}
		ask = !agreed
	}
	switch {
	case !ask:
		return h.grantCode(w, r, a, &person{user: user}, browser)
	case slices.Contains(a.prompt, "none"):
		return h.refuse(w, r, a, &Error{Code: "consent_required", Description: "the user was not asked yet"})
	}
	return h.consentPage(w, r, a, browser, user)
}

// decideConsent serves POST /oauth/consent.
func (h *Handler) decideConsent(w http.ResponseWriter, r *http.Request) error {
	form, err := readForm(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	browser, err := h.browser(r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	if browser == nil || !h.sameVisit(r, form, browser.Name) {
		return h.refusePage(w, r, errVisit())
	}
	_, query, _ := strings.Cut(form.Get("continue"), "?")
	values, err := parseQuery(query)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	a, err := h.parseAuthorization(r.Context(), values)
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	if form.Get("decision") != "allow" {
		return h.refuse(w, r, a, &Error{Code: "access_denied", Description: "the user said no"})
	}
	user, err := h.browserUser(r.Context(), browser)
	if err == nil {
		err = h.Sessions.Consent(r.Context(), user, a.client.Name, a.scopes)
	}
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	return h.grantCode(w, r, a, &person{user: user}, browser)
}

// grantCode sends the client a code.
func (h *Handler) grantCode(w http.ResponseWriter, r *http.Request, a *authorization, who *person, browser *iamv1alpha2.Session) error {
	login := h.login(r, a.client, a.scopes)
	login.User, login.Methods = who.user.Name, who.methods
	if browser != nil {
		login.Parent, login.Provider, login.Methods = browser.Name, browser.Spec.Provider, browser.Spec.AuthenticationMethods
		if proved := browser.Spec.AuthenticationTime; proved != nil {
			login.Time = proved.Time
		}
	}
	code, err := h.Sessions.StartWithCode(r.Context(), login, session.Binding{RedirectURI: a.given, Challenge: a.challenge, Nonce: a.nonce})
	if err != nil {
		return h.refuse(w, r, a, err)
	}
	h.redirect(w, r, a.answer(h.Tokens.Issuer, url.Values{"code": {code}}))
	return nil
}

// answer is the redirect URI with the answer of a request, which names the
// issuer so that nobody takes it for that of another (RFC 9207).
func (a *authorization) answer(issuer string, values url.Values) string {
	if a.state != "" {
		values.Set("state", a.state)
	}
	values.Set("iss", issuer)
	return appendParameters(a.redirectURI, values)
}

// refuse tells the client what went wrong, or the user where it is not known
// who the client is.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, a *authorization, err error) error {
	var known *Error
	if a == nil || !errors.As(translate(err), &known) {
		return h.refusePage(w, r, err)
	}
	h.redirect(w, r, a.answer(h.Tokens.Issuer, url.Values{"error": {known.Code}, "error_description": {known.Description}}))
	return nil
}

// redirect sends the browser elsewhere; after a POST it must not post again.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, to string) {
	noStore(w)
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Location", to)
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	w.WriteHeader(http.StatusFound)
}

// browserUser is the user of a browser session, if he may still log in.
func (h *Handler) browserUser(ctx context.Context, browser *iamv1alpha2.Session) (*iamv1alpha2.User, error) {
	user, err := h.Accounts.Get(ctx, browser.Spec.User)
	if apierrors.IsNotFound(err) || err == nil && (user.Status.State == iamv1alpha2.UserDisabled || user.DeletionTimestamp != nil) {
		return nil, &Error{Code: "access_denied", Description: "the user is not active", Status: http.StatusForbidden}
	}
	return user, err
}
