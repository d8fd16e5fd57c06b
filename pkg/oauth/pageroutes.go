package oauth

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

const html = "text/html"

// pageRoutes are for browsers.
func (h *Handler) pageRoutes() []route.Route {
	query := func(name, description string) route.Parameter {
		return route.Parameter{In: route.InQuery, Name: name, Description: description}
	}
	field := func(name, description string) route.Parameter {
		return route.Parameter{In: route.InForm, Name: name, Description: description}
	}
	provider := route.Parameter{In: route.InPath, Name: "provider", Required: true, Description: "Name of the identity provider."}
	continued := "What the browser goes on with: the request for authorization or the device that asked for the login."
	visit := field("token", "What ties the form to the browser it was given to.")
	return []route.Route{
		h.authorizeRoute(http.MethodGet, "authorize", route.InQuery),
		h.authorizeRoute(http.MethodPost, "postAuthorize", route.InForm),
		{
			Method: http.MethodPost, Path: "/consent", ID: "decideConsent", Public: true,
			Summary: "Allow an application, or not", Description: "The form of the page that asks whether an application may act for the user.",
			Consumes: []string{form}, Produces: []string{html},
			Parameters: []route.Parameter{visit, field("continue", continued), field("decision", "allow; anything else says no.")},
			Responses:  pageResponses(seeOther("To the application, with a code or an error.")),
			Handler:    h.decideConsent,
		},
		{
			Method: http.MethodGet, Path: "/login", ID: "getLoginPage", Public: true,
			Summary: "The login page", Description: "Asks for name and password, and offers the identity providers. It works without JavaScript.",
			Produces: []string{html}, Parameters: []route.Parameter{query("continue", continued)},
			Responses: pageResponses(route.Response{Code: http.StatusOK, Description: "The page.", Model: ""}), Handler: h.loginPage,
		},
		{
			Method: http.MethodPost, Path: "/login", ID: "submitLogin", Public: true,
			Summary: "Log in by the login page", Description: "The form of the login page. The browser gets a cookie.",
			Consumes: []string{form}, Produces: []string{html},
			Parameters: []route.Parameter{visit, field("continue", continued), field("provider", "The identity provider that knows the password; this server if empty."),
				field("username", "Name or e-mail address."), {In: route.InForm, Name: "password", Secret: true, Description: "The password."}},
			Responses: pageResponses(seeOther("To what asked for the login."), route.Response{Code: http.StatusUnauthorized, Description: "The login page, with what is wrong.", Model: ""},
				route.Response{Code: http.StatusTooManyRequests, Description: "Too many logins at the moment.", Model: ""}),
			Handler: h.submitLogin,
		},
		{
			Method: http.MethodGet, Path: "/login/{provider}", ID: "visitProvider", Public: true,
			Summary: "Log in at an identity provider", Description: "Sends the browser to the provider's own login page.",
			Produces: []string{html}, Parameters: []route.Parameter{provider, query("continue", continued)},
			Responses: pageResponses(found("To the provider."), route.Response{Code: http.StatusNotFound, Description: "There is no such provider.", Model: ""}), Handler: h.visitProvider,
		},
		{
			Method: http.MethodPost, Path: "/login/{provider}", ID: "loginAtProvider", Public: true,
			Summary: "Log in with a password of an identity provider", Description: "For clients of KubeSphere 3.4: tokens for the client kubesphere, by the password of a provider such as LDAP.",
			Consumes: []string{form},
			Parameters: []route.Parameter{provider, {In: route.InForm, Name: "username", Required: true, Description: "Name at the provider."},
				{In: route.InForm, Name: "password", Required: true, Secret: true, Description: "Password at the provider."}},
			Responses: formResponses(route.Response{Code: http.StatusOK, Description: "The tokens.", Model: TokenReply{}},
				route.Response{Code: http.StatusNotFound, Description: "There is no such provider.", Model: Error{}}),
			Handler: h.loginProvider,
		},
		h.callbackRoute(http.MethodGet, "returnFromProvider", query, provider),
		h.callbackRoute(http.MethodPost, "postReturnFromProvider", field, provider),
		{
			Method: http.MethodGet, Path: "/device", ID: "getDevicePage", Public: true,
			Summary: "The page for devices", Description: "Where a user types the code a device shows.",
			Produces: []string{html}, Parameters: []route.Parameter{query("user_code", "The code, to fill it in.")},
			Responses: pageResponses(route.Response{Code: http.StatusOK, Description: "The page.", Model: ""}, found("To the login page.")), Handler: h.devicePage,
		},
		{
			Method: http.MethodPost, Path: "/device", ID: "decideDevice", Public: true,
			Summary: "Approve a device, or not", Description: "The form of the page for devices: first the code, then the decision.",
			Consumes: []string{form}, Produces: []string{html},
			Parameters: []route.Parameter{visit, field("user_code", "The code the device shows."), field("decision", "allow or deny; empty to see what the device is.")},
			Responses:  pageResponses(route.Response{Code: http.StatusOK, Description: "The next page.", Model: ""}, seeOther("To the login page.")), Handler: h.devicePage,
		},
		h.logoutRoute(http.MethodGet, "logout", query),
		h.logoutRoute(http.MethodPost, "postLogout", field),
	}
}

func found(description string) route.Response {
	return route.Response{Code: http.StatusFound, Description: description}
}

func seeOther(description string) route.Response {
	return route.Response{Code: http.StatusSeeOther, Description: description}
}

func pageResponses(more ...route.Response) []route.Response {
	return append(more,
		route.Response{Code: http.StatusBadRequest, Description: "The request is invalid, and it is not known whom else to tell.", Model: ""},
		route.Response{Code: http.StatusForbidden, Description: "The form was not given to this browser, or the user is not active.", Model: ""},
		route.Response{Code: http.StatusServiceUnavailable, Description: "Kubernetes or the identity provider does not answer.", Model: ""},
	)
}

func (h *Handler) authorizeRoute(method, id string, in route.Kind) route.Route {
	parameter := func(name, description string, required bool) route.Parameter {
		return route.Parameter{In: in, Name: name, Description: description, Required: required}
	}
	r := route.Route{
		Method: method, Path: "/authorize", ID: id, Public: true,
		Summary: "Ask the user for authorization",
		Description: "The authorization endpoint of OAuth 2.0 and OpenID Connect. The user logs in and agrees, as the client's grantMethod says, " +
			"and the browser goes back to the client with a code, the state and the issuer (RFC 9207).",
		Produces: []string{html},
		Parameters: []route.Parameter{
			parameter("client_id", "Name of the OAuth client.", true),
			parameter("response_type", "code.", true),
			parameter("redirect_uri", "Where the answer goes: one of the client's, to the letter. Needed unless it has just one.", false),
			parameter("scope", "Scopes, separated by blanks.", false),
			parameter("state", "Comes back unchanged.", false),
			parameter("nonce", "Goes into the ID token.", false),
			parameter("code_challenge", "The challenge of PKCE (RFC 7636). Needed for public clients.", false),
			parameter("code_challenge_method", "S256.", false),
			parameter("prompt", "none, login, consent or select_account.", false),
			parameter("max_age", "How many seconds ago the user may have logged in.", false),
			parameter("login_hint", "Name to fill in.", false),
			parameter("id_token_hint", "An ID token of who should be logged in.", false),
		},
		Responses: pageResponses(
			route.Response{Code: http.StatusOK, Description: "The page that asks for consent.", Model: ""},
			route.Response{Code: http.StatusUnauthorized, Description: "The client wants name and password by HTTP Basic.", Model: Error{}},
			found("To the client or to the login page."),
		),
		Handler: h.authorize,
	}
	if method == http.MethodPost {
		r.Consumes = []string{form}
		r.Responses = append(r.Responses, seeOther("To the client or to the login page."))
	}
	return r
}

func (h *Handler) callbackRoute(method, id string, parameter func(name, description string) route.Parameter, provider route.Parameter) route.Route {
	r := route.Route{
		Method: method, Path: "/callback/{provider}", ID: id, Public: true,
		Summary: "Come back from an identity provider",
		Description: "A browser that was sent to the provider goes on logging in. Others, such as the server of the KubeSphere console that began the visit itself, " +
			"are answered with tokens for the client kubesphere.",
		Parameters: []route.Parameter{provider, parameter("code", "What the provider answered with."), parameter("state", "What the visit began with.")},
		Responses: []route.Response{
			{Code: http.StatusOK, Description: "The tokens.", Model: TokenReply{}},
			{Code: http.StatusFound, Description: "To what asked for the login."},
			{Code: http.StatusBadRequest, Description: "The provider refused, or the request proves nothing.", Model: Error{}},
			{Code: http.StatusForbidden, Description: "The visit did not begin in this browser.", Model: Error{}},
			{Code: http.StatusNotFound, Description: "There is no such provider.", Model: Error{}},
			{Code: http.StatusServiceUnavailable, Description: "Kubernetes or the identity provider does not answer.", Model: Error{}},
		},
		Handler: h.callback,
	}
	if method == http.MethodPost {
		r.Consumes = []string{form}
	}
	return r
}

func (h *Handler) logoutRoute(method, id string, parameter func(name, description string) route.Parameter) route.Route {
	r := route.Route{
		Method: method, Path: "/logout", ID: id, Public: true,
		Summary: "End the session",
		Description: "Ends the session the bearer token or the ID token was issued in, and that of the browser: their access and refresh tokens are refused from then on. " +
			"The browser then goes to post_logout_redirect_uri, if it is one of the client's.",
		Parameters: []route.Parameter{
			parameter("id_token_hint", "An ID token of the session."),
			parameter("client_id", "Name of the client, if there is no ID token."),
			parameter("post_logout_redirect_uri", "Where the browser goes afterwards."),
			parameter("state", "Comes back unchanged."),
		},
		Responses: []route.Response{
			{Code: http.StatusOK, Description: "The session has ended.", Model: Message{}},
			{Code: http.StatusFound, Description: "To the client."},
			{Code: http.StatusBadRequest, Description: "The id_token_hint is none.", Model: Error{}},
		},
		Handler: h.logout,
	}
	if method == http.MethodPost {
		r.Consumes = []string{form}
	}
	return r
}
