package oauth

import (
	"net/http"
	"net/url"

	"k8s.io/apiserver/pkg/endpoints/request"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

// purposeLogout is what the token of the form for logging out is made for.
const purposeLogout = "logout "

// loggedOut is why a session ended.
const loggedOut = "the user logged out"

// logout serves GET and POST /oauth/logout. It ends the session of a bearer
// token, the one an ID token was issued in, and that of the browser; for the
// last one the user is asked, if only a link leads here (OpenID Connect
// RP-Initiated Logout §2).
func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	values, err := logoutParameters(w, r)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	hint, c, err := h.hinted(r, values)
	if err != nil {
		return h.refusePage(w, r, err)
	}
	ended := hint != nil && hint.Session != ""
	if ended {
		if err := h.Sessions.EndLogin(r.Context(), hint.Session, loggedOut); err != nil {
			return kube.Err(err)
		}
	}
	if who, found := request.UserFrom(r.Context()); found {
		for _, id := range who.GetExtra()[authn.ExtraSession] {
			if err := h.Sessions.EndLogin(r.Context(), id, loggedOut); err != nil {
				return kube.Err(err)
			}
			ended = true
		}
	}
	browser, err := h.browser(r)
	if err != nil {
		return kube.Err(err)
	}
	if browser != nil {
		meant := ended && (hint == nil || hint.Subject == browser.Spec.User) || r.Method == http.MethodPost && h.sameVisit(r, values, purposeLogout+browser.Name)
		if !meant {
			return h.showLogout(w, r, browser, values)
		}
		if err := h.Sessions.EndBrowser(r.Context(), browser, loggedOut); err != nil {
			return kube.Err(err)
		}
		h.setCookie(w, cookieLogin, "", 0)
	}
	return h.afterLogout(w, r, values, c)
}

// logoutParameters are those of the query, or of a form; API clients post nothing.
func logoutParameters(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost && r.Header.Get("Content-Type") == "" {
		return url.Values{}, nil
	}
	return parameters(w, r)
}

// hinted reads who is to be logged out, and the client that asks.
func (h *Handler) hinted(r *http.Request, values url.Values) (*token.IDClaims, *oauthclient.Client, error) {
	name := values.Get("client_id")
	var hint *token.IDClaims
	if text := values.Get("id_token_hint"); text != "" {
		var err error
		if hint, err = h.Tokens.VerifyID(r.Context(), text); err != nil {
			return nil, nil, invalidRequest(http.StatusBadRequest, "the id_token_hint is no ID token of this server")
		}
		if name != "" && name != hint.Audience[0] {
			return nil, nil, invalidRequest(http.StatusBadRequest, "the id_token_hint is not for this client")
		}
		name = hint.Audience[0]
	}
	if name == "" {
		return hint, nil, nil
	}
	c, err := h.Clients.Find(r.Context(), name)
	return hint, c, err
}

// afterLogout sends the browser where the client registered, and nowhere else.
func (h *Handler) afterLogout(w http.ResponseWriter, r *http.Request, values url.Values, c *oauthclient.Client) error {
	wanted := values.Get("post_logout_redirect_uri")
	if wanted != "" && c != nil && c.PostLogoutURI(wanted, !h.secure()) {
		state := url.Values{}
		if values.Has("state") {
			state.Set("state", values.Get("state"))
		}
		h.redirect(w, r, appendParameters(wanted, state))
		return nil
	}
	if wantsPage(r) {
		return h.show(w, page{title: "You are logged out", body: "message", data: map[string]any{"Text": "You can close this page.", "Again": h.path("/oauth/login")}})
	}
	noStore(w)
	status.WriteJSON(w, http.StatusOK, Message{Message: "success"})
	return nil
}

// showLogout asks whether to log out.
func (h *Handler) showLogout(w http.ResponseWriter, r *http.Request, browser *iamv1alpha2.Session, values url.Values) error {
	hidden := map[string]string{"token": h.beginVisit(w, r, purposeLogout+browser.Name)}
	var target string
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "state"} {
		if value := values.Get(name); value != "" {
			hidden[name] = value
		}
	}
	if name := values.Get("client_id"); name != "" {
		c, err := h.Clients.Find(r.Context(), name)
		if err != nil {
			return h.refusePage(w, r, err)
		}
		if wanted := values.Get("post_logout_redirect_uri"); c != nil && c.PostLogoutURI(wanted, !h.secure()) {
			target = wanted
		}
	}
	return h.show(w, page{title: "Log out?", body: "logout", leadsTo: target, data: map[string]any{
		"Action": h.path("/oauth/logout"), "User": browser.Spec.User, "Hidden": hidden,
	}})
}
