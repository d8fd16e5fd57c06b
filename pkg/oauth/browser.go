package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/session"
)

// The cookies. A browser keeps them for our pages alone.
const (
	cookieLogin  = "ks-login"
	cookieVisit  = "ks-visit"
	cookieReturn = "ks-return"
)

// realm is what browsers show who ask for a name and a password themselves.
const realm = "KubeSphere"

// cookieName is the name of a cookie; where there is TLS browsers see to it
// that no plain connection sets it.
func (h *Handler) cookieName(name string) string {
	if h.secure() {
		return "__Secure-" + name
	}
	return name
}

// setCookie gives the browser a cookie for our pages; an empty value takes it away.
func (h *Handler) setCookie(w http.ResponseWriter, name, value string, seconds int) {
	if value == "" {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where the issuer is https
		Name: h.cookieName(name), Value: value, Path: h.path("/oauth"), MaxAge: seconds, Secure: h.secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// cookie is the value of a cookie of ours; empty if there is none, or two,
// which somebody else must have set.
func (h *Handler) cookie(r *http.Request, name string) string {
	found := r.CookiesNamed(h.cookieName(name))
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// browser is the session of the browser a request comes from; nil if nobody is
// logged in.
func (h *Handler) browser(r *http.Request) (*iamv1alpha2.Session, error) {
	value := h.cookie(r, cookieLogin)
	if value == "" {
		return nil, nil
	}
	found, err := h.Sessions.Browser(r.Context(), value)
	if errors.Is(err, session.ErrInvalid) || errors.Is(err, session.ErrEnded) {
		return nil, nil
	}
	return found, err
}

// challenged is who brings his name and password by HTTP Basic to a client that
// asks for them; nil for everybody else. A bearer token means nothing here: what
// was given to one client must not become a login of another.
func (h *Handler) challenged(r *http.Request, a *authorization) (*person, error) {
	name, password, found := r.BasicAuth()
	if !found || !a.client.RespondWithChallenges {
		return nil, nil
	}
	return h.checkPassword(r, "", name, password, "Basic")
}

// visitToken is a secret of the browser's visit, for forms: other pages can
// send it requests, but cannot know what it was given. It is made for one
// purpose, so that a form that is filled in for one user or thing is not
// taken for another.
func visitToken(visit, purpose string) string {
	mac := hmac.New(sha256.New, []byte(visit))
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// beginVisit returns the token of forms for a purpose.
func (h *Handler) beginVisit(w http.ResponseWriter, r *http.Request, purpose string) string {
	visit := h.cookie(r, cookieVisit)
	if len(visit) < 26 {
		visit = rand.Text()
		h.setCookie(w, cookieVisit, visit, 24*60*60)
	}
	return visitToken(visit, purpose)
}

// sameVisit reports whether a form was given to the browser that sends it.
func (h *Handler) sameVisit(r *http.Request, form url.Values, purpose string) bool {
	visit := h.cookie(r, cookieVisit)
	if len(visit) < 26 || !h.sameOrigin(r) {
		return false
	}
	return subtle.ConstantTimeCompare([]byte(form.Get("token")), []byte(visitToken(visit, purpose))) == 1
}

// sameOrigin reports whether one of our pages sends a request, as far as the browser says.
// A document without an origin is none of them, whatever else the browser says of it:
// what is behind this server is shown in such documents.
func (h *Handler) sameOrigin(r *http.Request) bool {
	return r.Header.Get("Origin") != "null" && http.NewCrossOriginProtection().Check(h.asSeen(r)) == nil
}

// asSeen is a request with the host browsers know this server by, if a proxy
// in front of it uses another.
func (h *Handler) asSeen(r *http.Request) *http.Request {
	issuer, err := url.Parse(h.Tokens.Issuer)
	origin := r.Header.Get("Origin")
	if err != nil || origin == "" || origin != issuer.Scheme+"://"+issuer.Host {
		return r
	}
	seen := *r
	seen.Host = issuer.Host
	return &seen
}

func errVisit() *Error {
	return &Error{Code: "access_denied", Description: "the form is too old, or was not given to this browser: go back and try again. Cookies must be allowed.", Status: http.StatusForbidden}
}

// wantsPage reports whether a person looks at the answer.
func wantsPage(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept"), "text/html") }

// target is the address of one of our pages that asked for a login; the login
// page itself for anything else. It never leads away from here.
func (h *Handler) target(continued string) string {
	page, query, _ := strings.Cut(continued, "?")
	if page != "authorize" && page != "device" {
		return h.path("/oauth/login")
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return h.path("/oauth/login")
	}
	return h.path("/oauth/"+page) + "?" + values.Encode()
}

// loggedIn is where a browser goes after a login it was asked for: the request
// without what made us ask.
func (h *Handler) loggedIn(continued string) string {
	page, query, _ := strings.Cut(continued, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return h.path("/oauth/login")
	}
	if prompts := strings.Fields(values.Get("prompt")); len(prompts) > 0 {
		values.Del("prompt")
		for _, prompt := range prompts {
			if prompt == "consent" {
				values.Set("prompt", prompt)
			}
		}
	}
	values.Del("max_age")       // that was just now, though not in whole seconds
	values.Del("id_token_hint") // whoever logged in now is who it is
	return h.target(page + "?" + values.Encode())
}
