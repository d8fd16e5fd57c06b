package oauth

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"

	"github.com/super-kubenetes/ks-apiserver/pkg/oauthclient"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// consoleClient is the client of logins that name none. Its refresh tokens are
// exchanged at the token endpoint, with its secret.
const consoleClient = "kubesphere"

// Login is the body of the login of KubeSphere 3.3.
type Login struct {
	// Username may be the e-mail address.
	Username string `json:"username" description:"Name or e-mail address of the user."`
	Password string `json:"password" description:"Password of the user."`
}

// LoginGroup declares the login of KubeSphere 3.3.
func (h *Handler) LoginGroup() route.Group {
	return route.Group{
		Prefix: "/kapis/iam.kubesphere.io/v1alpha2", Tag: "Authentication", Description: "Tokens for users and applications.",
		Routes: []route.Route{{
			Method: http.MethodPost, Path: "/login", ID: "login", Public: true,
			Summary:     "Log in with name and password",
			Description: "The password grant of /oauth/token for the client kubesphere, with a body in JSON and without a client secret. New applications use /oauth/token.",
			Body:        Login{},
			Responses: []route.Response{
				{Code: http.StatusOK, Description: "The tokens.", Model: TokenReply{}},
				{Code: http.StatusBadRequest, Description: "The name or the password is wrong, or the body is no login.", Model: Error{}},
				{Code: http.StatusRequestEntityTooLarge, Description: "The body is too large.", Model: Error{}},
				{Code: http.StatusUnsupportedMediaType, Description: "The body is not JSON.", Model: Error{}},
				{Code: http.StatusTooManyRequests, Description: "Too many logins at the moment.", Model: Error{}},
				{Code: http.StatusServiceUnavailable, Description: "Kubernetes does not answer.", Model: Error{}},
			},
			Handler: h.Login,
		}},
	}
}

// Login serves POST /kapis/iam.kubesphere.io/v1alpha2/login.
func (h *Handler) Login(w http.ResponseWriter, r *http.Request) error {
	reply, err := h.loginByJSON(w, r)
	return answer(w, r, reply, err)
}

func (h *Handler) loginByJSON(w http.ResponseWriter, r *http.Request) (*TokenReply, error) {
	// The media type is mandatory: other pages could send a form or plain text.
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, invalidRequest(http.StatusUnsupportedMediaType, "the body must be of type application/json")
	}
	var given Login
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxForm)).Decode(&given); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return nil, invalidRequest(http.StatusBadRequest, status.Of(route.DecodeError("the body", err, given)).Message)
		}
		return nil, invalidRequest(http.StatusBadRequest, "the body is not JSON")
	}
	c, err := h.console(r)
	if err != nil {
		return nil, err
	}
	form := url.Values{"username": {given.Username}, "password": {given.Password}}
	return h.exchange(r, form, c, passwordGrant{h})
}

// console is the client of logins that name none.
func (h *Handler) console(r *http.Request) (*oauthclient.Client, error) {
	c, err := h.Clients.Find(r.Context(), consoleClient)
	switch {
	case err != nil:
		return nil, err
	case c == nil:
		return nil, unauthorizedClient("there is no client " + consoleClient)
	case !h.PasswordGrant:
		return nil, unauthorizedClient("logging in without a browser is switched off")
	}
	return c, nil
}
