package oauth

import (
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

const form = "application/x-www-form-urlencoded"

const (
	tag         = "Authentication"
	description = "Tokens for users and applications."
)

// Message is a short text for people.
type Message struct {
	Message string `json:"message"`
}

// Groups declares the OAuth endpoints, the pages for logging in, and the
// documents that describe them.
func (h *Handler) Groups() []route.Group {
	return []route.Group{
		{Prefix: "/oauth", Tag: tag, Description: description, Routes: append(h.endpoints(), h.pageRoutes()...)},
		{Prefix: "/.well-known", Tag: tag, Description: description, Routes: []route.Route{
			h.describes("/openid-configuration", "getOpenIDConfiguration"),
			h.describes("/oauth-authorization-server", "getAuthorizationServer"),
		}},
	}
}

// describes declares a path of the discovery document.
func (h *Handler) describes(path, id string) route.Route {
	return route.Route{
		Method: http.MethodGet, Path: path, ID: id, Public: true, CrossOrigin: true,
		Summary:     "Describe the token service",
		Description: "The endpoints and what they support, as OpenID Connect Discovery and RFC 8414 define it. All addresses begin with the configured issuer.",
		Responses: []route.Response{
			{Code: http.StatusOK, Description: "The description.", Model: Discovery{}},
			{Code: http.StatusServiceUnavailable, Description: "The server is starting.", Model: metav1.Status{}},
		},
		Handler: h.discovery,
	}
}

// clientParameters are how a client says who it is.
func clientParameters(more ...route.Parameter) []route.Parameter {
	return append(more,
		route.Parameter{In: route.InForm, Name: "client_id", Description: "Name of the OAuth client, unless it authenticates by HTTP Basic."},
		route.Parameter{In: route.InForm, Name: "client_secret", Secret: true, Description: "Secret of the OAuth client."},
	)
}

// formResponses are the answers of endpoints for clients.
func formResponses(more ...route.Response) []route.Response {
	return append(more,
		route.Response{Code: http.StatusBadRequest, Description: "The request is invalid; error says how.", Model: Error{}},
		route.Response{Code: http.StatusUnauthorized, Description: "The client is unknown or its secret is wrong.", Model: Error{}},
		route.Response{Code: http.StatusRequestEntityTooLarge, Description: "The form is too large.", Model: Error{}},
		route.Response{Code: http.StatusUnsupportedMediaType, Description: "The body is not a form.", Model: Error{}},
		route.Response{Code: http.StatusServiceUnavailable, Description: "Kubernetes does not answer.", Model: Error{}},
	)
}

// endpoints are for applications.
func (h *Handler) endpoints() []route.Route {
	token3 := route.Parameter{In: route.InForm, Name: "token", Required: true, Secret: true, Description: "An access token or a refresh token."}
	hint := route.Parameter{In: route.InForm, Name: "token_type_hint", Description: "Accepted and not needed."}
	tooMany := route.Response{Code: http.StatusTooManyRequests, Description: "Too many logins at the moment.", Model: Error{}}
	return []route.Route{
		{
			Method: http.MethodPost, Path: "/token", ID: "createToken", Public: true, CrossOrigin: true,
			Summary: "Get an access token",
			Description: "The token endpoint of OAuth 2.0 (RFC 6749): a user name and password (of trusted clients), a refresh token, an authorization code with " +
				"PKCE, the client's own credentials or a device code (RFC 8628) are exchanged for tokens. " +
				"The client authenticates with client_id and client_secret or by HTTP Basic; public clients send client_id only.",
			Consumes: []string{form},
			Parameters: clientParameters(
				route.Parameter{In: route.InForm, Name: "grant_type", Required: true, Description: "How the token is asked for. code is authorization_code.",
					Values: []string{grantPassword, grantRefreshToken, grantCode, grantCode3, grantClientCredentials, grantDevice}},
				route.Parameter{In: route.InForm, Name: "username", Description: "Name or e-mail address of the user, for grant_type=password."},
				route.Parameter{In: route.InForm, Name: "password", Secret: true, Description: "Password of the user, for grant_type=password."},
				route.Parameter{In: route.InForm, Name: "provider", Description: "Name of the identity provider that knows the password, for grant_type=password; this server if empty."},
				route.Parameter{In: route.InForm, Name: "refresh_token", Secret: true, Description: "The refresh token, for grant_type=refresh_token. It can be used once."},
				route.Parameter{In: route.InForm, Name: "code", Secret: true, Description: "The authorization code. It can be used once, within a minute."},
				route.Parameter{In: route.InForm, Name: "redirect_uri", Description: "The redirect URI of the request for the code, if it named one."},
				route.Parameter{In: route.InForm, Name: "code_verifier", Secret: true, Description: "The verifier of PKCE (RFC 7636)."},
				route.Parameter{In: route.InForm, Name: "device_code", Secret: true, Description: "The device code, for grant_type=" + grantDevice + "."},
				route.Parameter{In: route.InForm, Name: "scope", Description: "Scopes, separated by blanks: openid profile email groups offline_access."},
			),
			Responses: formResponses(route.Response{Code: http.StatusOK, Description: "The tokens.", Model: TokenReply{}}, tooMany),
			Handler:   h.Token,
		},
		{
			Method: http.MethodPost, Path: "/device_authorization", ID: "authorizeDevice", Public: true,
			Summary:     "Log in on a device without a browser",
			Description: "Device authorization (RFC 8628): the user opens the page that is returned elsewhere and types the code; meanwhile the device asks the token endpoint.",
			Consumes:    []string{form},
			Parameters:  clientParameters(route.Parameter{In: route.InForm, Name: "scope", Description: "Scopes, separated by blanks."}),
			Responses:   formResponses(route.Response{Code: http.StatusOK, Description: "The codes.", Model: DeviceReply{}}, tooMany),
			Handler:     h.authorizeDevice,
		},
		{
			Method: http.MethodPost, Path: "/revoke", ID: "revokeToken", Public: true, CrossOrigin: true,
			Summary:     "Revoke a token",
			Description: "Ends the session a token of the client belongs to, with all its tokens (RFC 7009). Tokens that are unknown are no error.",
			Consumes:    []string{form},
			Parameters:  clientParameters(token3, hint),
			Responses:   formResponses(route.Response{Code: http.StatusOK, Description: "The token is not valid any more, or never was."}),
			Handler:     h.revoke,
		},
		{
			Method: http.MethodPost, Path: "/introspect", ID: "introspectToken", Public: true,
			Summary:     "Look into a token",
			Description: "Says whether a token is active, and what it is (RFC 7662), to clients with a secret. Of a token that is not, nothing but that is said.",
			Consumes:    []string{form},
			Parameters:  clientParameters(token3, hint),
			Responses:   formResponses(route.Response{Code: http.StatusOK, Description: "What the token is.", Model: Introspection{}}),
			Handler:     h.introspect,
		},
		{
			Method: http.MethodPost, Path: "/authenticate", ID: "reviewToken", Public: true,
			Summary:     "Review a token for Kubernetes",
			Description: "The webhook for token authentication of kube-apiserver: says whose an access token is.",
			Body:        authenticationv1.TokenReview{},
			Responses: []route.Response{
				{Code: http.StatusOK, Description: "The review with its status.", Model: authenticationv1.TokenReview{}},
				{Code: http.StatusBadRequest, Description: "The body is no TokenReview.", Model: metav1.Status{}},
				{Code: http.StatusServiceUnavailable, Description: "Kubernetes does not answer.", Model: metav1.Status{}},
			},
			Handler: h.review,
		},
		h.userinfoRoute(http.MethodGet, "getUserInfo"),
		h.userinfoRoute(http.MethodPost, "queryUserInfo"),
		{
			Method: http.MethodGet, Path: "/keys", ID: "listKeys", Public: true, CrossOrigin: true,
			Summary:     "Public keys of the tokens",
			Description: "The keys tokens are signed with, as a JSON Web Key Set (RFC 7517). The next one is there before it is used.",
			Responses:   []route.Response{{Code: http.StatusOK, Description: "The keys.", Model: token.JWKS{}}},
			Handler:     h.keys,
		},
		h.describes("/.well-known/openid-configuration", "getOAuthConfiguration"),
	}
}

func (h *Handler) userinfoRoute(method, id string) route.Route {
	return route.Route{
		Method: method, Path: "/userinfo", ID: id, Public: true, CrossOrigin: true,
		Summary:     "Who the user is",
		Description: "What the granted scopes tell of the user of the access token (OpenID Connect Core §5.3).",
		Responses: []route.Response{
			{Code: http.StatusOK, Description: "The user.", Model: UserInfo{}},
			{Code: http.StatusUnauthorized, Description: "There is no valid access token.", Model: Error{}},
			{Code: http.StatusForbidden, Description: "The token was not granted the scope openid.", Model: Error{}},
		},
		Handler: h.userinfo,
	}
}
