package iam

import (
	"encoding/json"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/accesstoken"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// How long personal access tokens are valid: without a wish, and at the most.
const (
	tokenLifetime    = 30 * 24 * time.Hour
	maxTokenLifetime = 366 * 24 * time.Hour
)

// NewToken is what a personal access token is asked for with.
type NewToken struct {
	Description      string   `json:"description,omitempty" description:"What the token is for."`
	Scopes           []string `json:"scopes" description:"What the token may be used for, of what the user may do: all, read, or {group}/{resource}:{verb},{verb} such as core/pods:get,list."`
	ExpiresInSeconds int64    `json:"expiresInSeconds,omitempty" description:"How long the token is valid, in seconds: 30 days unless given, 366 days at most."`
}

// CreatedToken is a new personal access token.
type CreatedToken struct {
	iamv1alpha2.PersonalAccessToken `json:",inline"`

	Token string `json:"token" description:"The token. It is shown here only."`
}

// PersonalAccessTokenList and SessionList are pages of lists.
type (
	// PersonalAccessTokenList is a page of personal access tokens.
	PersonalAccessTokenList struct {
		Items      []iamv1alpha2.PersonalAccessToken `json:"items" description:"The tokens of the page."`
		TotalItems int                               `json:"totalItems" description:"The number of tokens that match, on all pages."`
	}
	// SessionList is a page of sessions.
	SessionList struct {
		Items      []iamv1alpha2.Session `json:"items" description:"The sessions of the page."`
		TotalItems int                   `json:"totalItems" description:"The number of sessions that match, on all pages."`
	}
)

// annotationCurrent marks the session a list of sessions was asked for in.
const annotationCurrent = "iam.kubesphere.io/current"

func (h *Handler) credentialRoutes() []route.Route {
	user := inPath("user", "Name of the user.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/users/{user}/sessions", ID: "listSessions", Summary: "List the sessions of a user",
			Description: "Lists the logins of a user that have not ended. The one this request is made in has the annotation " + annotationCurrent + ".",
			Parameters:  paging(user), Responses: answer(SessionList{}, "The page."), Handler: h.listSessions,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}/sessions", ID: "endSessions", Summary: "End the sessions of a user",
			Description: "Ends all sessions of a user but the one this request is made in.",
			Parameters:  []route.Parameter{user}, Responses: answer(route.Message{}, "The sessions have ended."), Handler: h.endSessions,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}/sessions/{session}", ID: "endSession", Summary: "End a session of a user",
			Description: "Ends a login and every token that was issued for it, on every replica within a second.",
			Parameters:  []route.Parameter{user, inPath("session", "Name of the session.")}, Responses: answer(route.Message{}, "The session has ended."), Handler: h.endSession,
		},
		{
			Method: http.MethodGet, Path: "/users/{user}/tokens", ID: "listPersonalAccessTokens", Summary: "List the personal access tokens of a user",
			Parameters: paging(user), Responses: answer(PersonalAccessTokenList{}, "The page."), Handler: h.listTokens,
		},
		{
			Method: http.MethodPost, Path: "/users/{user}/tokens", ID: "createPersonalAccessToken", Summary: "Make a personal access token",
			Description: "Makes a token for a program that acts as the caller. Only users themselves can, and not with such a token.",
			Parameters:  []route.Parameter{user}, Body: NewToken{},
			Responses: []route.Response{{Code: http.StatusCreated, Description: "The token.", Model: CreatedToken{}}}, Handler: h.createToken,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}/tokens/{token}", ID: "deletePersonalAccessToken", Summary: "Revoke a personal access token",
			Parameters: []route.Parameter{user, inPath("token", "Name of the token, as the list shows it.")}, Responses: answer(route.Message{}, "The token is revoked."), Handler: h.deleteToken,
		},
	}
}

func (h *Handler) listSessions(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listed(w, r, "sessions")
	if err != nil {
		return err
	}
	wanted := with(q, query.Filter{Key: "user", Value: r.PathValue("user")})
	alive := fields.OneTermNotEqualSelector("spec.revoked", "true")
	if wanted.Fields != nil {
		alive = fields.AndSelectors(wanted.Fields, alive)
	}
	wanted.Fields, wanted.Raw = alive, wanted.Raw+"\x00alive"
	page, err := h.Directory.Cache.ListPage(r.Context(), h.Types, h.Types.Type("sessions"), objects.Selection{Query: wanted})
	if err != nil {
		return err
	}
	current := session(caller(r))
	return route.WriteList(w, r, page.TextsOf(&q, func(item *objects.Item) (string, error) {
		mark := ""
		if item.Name() == current {
			mark = "true"
		}
		return annotated(item, annotationCurrent, mark)
	}), q.Pretty)
}

func (h *Handler) endSessions(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("user")
	if err := h.outranks(r, name); err != nil {
		return err
	}
	if err := h.Sessions.EndOthers(r.Context(), name, session(caller(r)), "ended by user "+caller(r).GetName()); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

func (h *Handler) endSession(w http.ResponseWriter, r *http.Request) error {
	user, name := r.PathValue("user"), r.PathValue("session")
	if err := h.outranks(r, user); err != nil {
		return err
	}
	view, err := h.Directory.Cache.View(r.Context(), h.Types.Type("sessions"))
	if err != nil {
		return err
	}
	item := view.Get("", name)
	if item == nil || item.Field("spec.user").String() != user {
		return apierrors.NewNotFound(iamv1alpha2.Resource("sessions"), name)
	}
	if err := h.Sessions.End(r.Context(), name, "ended by user "+caller(r).GetName()); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

func (h *Handler) listTokens(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listed(w, r, "personalaccesstokens")
	if err != nil {
		return err
	}
	return h.page(w, r, "personalaccesstokens", with(q, query.Filter{Key: "user", Value: r.PathValue("user")}))
}

func (h *Handler) createToken(w http.ResponseWriter, r *http.Request) error {
	wanted := NewToken{}
	if err := route.ReadJSON(r, &wanted); err != nil {
		return err
	}
	user := r.PathValue("user")
	if user != caller(r).GetName() {
		return status.Forbidden(iamv1alpha2.Resource("users"), user, "nobody makes access tokens of others")
	}
	lifetime := tokenLifetime
	if wanted.ExpiresInSeconds != 0 {
		lifetime = time.Duration(wanted.ExpiresInSeconds) * time.Second
	}
	switch {
	case wanted.ExpiresInSeconds < 0, wanted.ExpiresInSeconds > int64(maxTokenLifetime/time.Second):
		return status.Invalid("expiresInSeconds", "must be between 1 and %d", int64(maxTokenLifetime/time.Second))
	case len(wanted.Scopes) == 0 || len(wanted.Scopes) > 64:
		return status.Invalid("scopes", "there must be between 1 and 64")
	case len(wanted.Description) > 256:
		return status.Invalid("description", "must have at most 256 bytes")
	}
	for _, scope := range wanted.Scopes {
		if _, err := authz.ScopeRules(scope); err != nil {
			return status.Invalid("scopes", "%s", err)
		}
	}
	created, token, err := h.Tokens.Create(r.Context(), user, accesstoken.Token{Description: wanted.Description, Scopes: wanted.Scopes, Lifetime: lifetime})
	if err != nil {
		return err
	}
	shown := created.DeepCopy()
	shown.APIVersion, shown.Kind = iamv1alpha2.SchemeGroupVersion.String(), "PersonalAccessToken"
	shown.Spec.TokenHash, shown.ManagedFields = "", nil
	body, err := json.Marshal(CreatedToken{PersonalAccessToken: *shown, Token: token})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, err = w.Write(body)
	return err
}

func (h *Handler) deleteToken(w http.ResponseWriter, r *http.Request) error {
	user := r.PathValue("user")
	if err := h.outranks(r, user); err != nil {
		return err
	}
	if err := h.Tokens.Revoke(r.Context(), user, r.PathValue("token")); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}
