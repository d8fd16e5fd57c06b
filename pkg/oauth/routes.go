package oauth

import (
	"net/http"

	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/token"
)

const form = "application/x-www-form-urlencoded"

// Message is a short text for people.
type Message struct {
	Message string `json:"message"`
}

// Group declares the OAuth endpoints.
func (h *Handler) Group() route.Group {
	return route.Group{
		Prefix: "/oauth", Tag: "Authentication", Description: "Tokens for users and applications.",
		Routes: []route.Route{
			{
				Method: http.MethodPost, Path: "/token", ID: "createToken", Public: true,
				Summary: "Get an access token",
				Description: "The token endpoint of OAuth 2.0 (RFC 6749). With grant_type=password a user name and password, " +
					"with grant_type=refresh_token a refresh token are exchanged for an access token and a refresh token. " +
					"The client authenticates with client_id and client_secret or by HTTP Basic.",
				Consumes: []string{form},
				Parameters: []route.Parameter{
					{In: route.InForm, Name: "grant_type", Required: true, Values: []string{"password", "refresh_token"}, Description: "How the token is asked for."},
					{In: route.InForm, Name: "username", Description: "Name or e-mail address of the user, for grant_type=password."},
					{In: route.InForm, Name: "password", Secret: true, Description: "Password of the user, for grant_type=password."},
					{In: route.InForm, Name: "refresh_token", Secret: true, Description: "The refresh token, for grant_type=refresh_token. It can be used once."},
					{In: route.InForm, Name: "client_id", Description: "Name of the OAuth client."},
					{In: route.InForm, Name: "client_secret", Secret: true, Description: "Secret of the OAuth client."},
				},
				Responses: []route.Response{
					{Code: http.StatusOK, Description: "The tokens.", Model: TokenReply{}},
					{Code: http.StatusBadRequest, Description: "The grant or the request is invalid.", Model: Error{}},
					{Code: http.StatusUnauthorized, Description: "The client is unknown or its secret is wrong.", Model: Error{}},
					{Code: http.StatusRequestEntityTooLarge, Description: "The form is too large.", Model: Error{}},
					{Code: http.StatusUnsupportedMediaType, Description: "The body is not a form.", Model: Error{}},
					{Code: http.StatusTooManyRequests, Description: "Too many logins at the moment.", Model: Error{}},
					{Code: http.StatusServiceUnavailable, Description: "Kubernetes does not answer.", Model: Error{}},
				},
				Handler: h.Token,
			},
			{
				Method: http.MethodGet, Path: "/logout", ID: "logout", Public: true,
				Summary:     "End the session",
				Description: "Ends the session the bearer token was issued in: its access and refresh tokens are refused from then on.",
				Responses:   []route.Response{{Code: http.StatusOK, Description: "The session has ended.", Model: Message{}}},
				Handler:     h.logout,
			},
			{
				Method: http.MethodGet, Path: "/keys", ID: "listKeys", Public: true,
				Summary:     "Public keys of the tokens",
				Description: "The keys access tokens are signed with, as a JSON Web Key Set (RFC 7517).",
				Responses:   []route.Response{{Code: http.StatusOK, Description: "The keys.", Model: token.JWKS{}}},
				Handler:     h.keys,
			},
		},
	}
}

func (h *Handler) logout(w http.ResponseWriter, r *http.Request) error {
	if who, found := request.UserFrom(r.Context()); found {
		for _, id := range who.GetExtra()[authn.ExtraSession] {
			if err := h.Sessions.End(r.Context(), id, "the user logged out"); err != nil {
				return kube.Err(err)
			}
		}
	}
	noStore(w)
	status.WriteJSON(w, http.StatusOK, Message{Message: "success"})
	return nil
}

func (h *Handler) keys(w http.ResponseWriter, _ *http.Request) error {
	keys := h.Tokens.Source.Keys()
	if len(keys) == 0 {
		return status.Unavailable(1, "the signing keys are not available yet")
	}
	public, err := keys.Public()
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "public, max-age=300")
	status.WriteJSON(w, http.StatusOK, public)
	return nil
}
