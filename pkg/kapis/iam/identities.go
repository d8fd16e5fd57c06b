package iam

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/mapping"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Identity is who a user is at an identity provider.
type Identity struct {
	Provider string `json:"provider" description:"Name of the identity provider."`
	Subject  string `json:"subject" description:"What the provider tells the person from all others by."`
}

// IdentityList are all identities of a user.
type IdentityList struct {
	Items      []Identity `json:"items" description:"The identities."`
	TotalItems int        `json:"totalItems" description:"The number of identities."`
}

// IdentityProof is what an identity is linked by.
type IdentityProof struct {
	Provider string `json:"provider" description:"Name of the identity provider."`
	// Username and Password prove it to a provider that checks passwords.
	Username string `json:"username,omitempty" description:"Name at a provider that checks passwords."`
	Password string `json:"password,omitempty" description:"Password at a provider that checks passwords."`
	// Parameters prove it to a provider with pages of its own.
	Parameters map[string]string `json:"parameters,omitempty" description:"What the browser came back with from a provider with pages of its own: code and state, or ticket. Whoever sent it there has compared the state."`
	// Subject needs no proof by who manages users.
	Subject string `json:"subject,omitempty" description:"Links without a proof; takes all rights on the platform."`
}

func (h *Handler) identityRoutes() []route.Route {
	name, provider := inPath("user", "Name of the user."), inPath("provider", "Name of the identity provider.")
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/users/{user}/identities", ID: "listIdentities", Summary: "List who a user is at identity providers",
			Parameters: []route.Parameter{name}, Responses: answer(IdentityList{}, "The identities."), Handler: h.listIdentities,
		},
		{
			Method: http.MethodPost, Path: "/users/{user}/identities", ID: "linkIdentity", Summary: "Link a user to somebody of an identity provider",
			Description: "From then on that person logs in as the user. Users prove to be the person, with a password or with what a browser came back with; who may update users names them. A person is one user at most.",
			Parameters:  []route.Parameter{name}, Body: IdentityProof{}, Responses: answer(Identity{}, "The identity."), Awaits: true, Handler: h.linkIdentity,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}/identities/{provider}", ID: "unlinkIdentity", Summary: "Unlink a user from an identity provider",
			Description: "Takes the groups with it that the provider gave. The last way to log in cannot be taken.",
			Parameters:  []route.Parameter{name, provider}, Responses: answer(route.Message{}, "The identity is unlinked."), Handler: h.unlinkIdentity,
		},
	}
}

func (h *Handler) listIdentities(w http.ResponseWriter, r *http.Request) error {
	user, err := h.Directory.Get(r.Context(), r.PathValue("user"))
	if err != nil {
		return err
	}
	list := IdentityList{Items: []Identity{}}
	for provider, subject := range iam.IdentitiesOf(user) {
		list.Items = append(list.Items, Identity{Provider: provider, Subject: subject})
	}
	slices.SortFunc(list.Items, func(a, b Identity) int { return strings.Compare(a.Provider, b.Provider) })
	list.TotalItems = len(list.Items)
	status.WriteJSON(w, http.StatusOK, list)
	return nil
}

func (h *Handler) linkIdentity(w http.ResponseWriter, r *http.Request) error {
	proof := IdentityProof{}
	if err := route.ReadJSON(r, &proof); err != nil {
		return err
	}
	name := r.PathValue("user")
	if err := h.outranks(r, name); err != nil {
		return err
	}
	provider, err := h.Providers.Provider(r.Context(), proof.Provider)
	if err != nil {
		return err
	}
	if provider == nil {
		return status.BadRequest("there is no identity provider %q", proof.Provider)
	}
	subject := proof.Subject
	if subject != "" {
		// Whoever that is at the provider logs in as this user from then on, and this user
		// gets the groups of that one, which nobody here can compare.
		administers, err := authz.HoldsAll(r.Context(), h.Rights, caller(r), authz.Scope{})
		if err != nil {
			return err
		}
		if !administers {
			return status.Forbidden(iamv1alpha2.Resource("users"), name, "linking without a proof takes all rights on the platform")
		}
	} else {
		who, err := h.prove(r, provider, &proof)
		var throttled *identity.Throttled
		switch {
		case errors.As(err, &throttled):
			return status.TooManyRequests(throttled.After, "%s", throttled)
		case errors.Is(err, identity.ErrBusy):
			return status.Unavailable(5, "too many passwords are checked at the moment")
		case errors.Is(err, identity.ErrIncorrect):
			return status.BadRequest("the identity provider does not confirm that")
		case errors.Is(err, identity.ErrUnavailable):
			slog.WarnContext(r.Context(), "identity provider failed", "id", request.ID(r.Context()), "provider", provider.Name, "error", err)
			return status.Unavailable(5, "the identity provider does not answer at the moment")
		case err != nil:
			return err
		}
		subject = who.Subject
	}
	if !mapping.Valid(identity.External{Subject: subject}) {
		return status.BadRequest("the subject is empty, too long, or no text")
	}
	if _, err := h.Users.Link(r.Context(), name, provider.Name, subject); err != nil {
		return err
	}
	status.WriteJSON(w, http.StatusOK, Identity{Provider: provider.Name, Subject: subject})
	return nil
}

// prove says who somebody is at a provider.
func (h *Handler) prove(r *http.Request, provider *identity.Provider, proof *IdentityProof) (identity.External, error) {
	if provider.Password != nil {
		return h.Attempts.Authenticate(r.Context(), provider, identity.Attempt{Name: proof.Username, Password: proof.Password, Address: request.ClientAddress(r)})
	}
	parameters := make(url.Values, len(proof.Parameters))
	for key, value := range proof.Parameters {
		parameters.Set(key, value)
	}
	return provider.Redirect.Return(r.Context(), identity.Visit{CallbackURL: h.Callback(provider.Name), State: parameters.Get("state")}, parameters)
}

func (h *Handler) unlinkIdentity(w http.ResponseWriter, r *http.Request) error {
	name, provider := r.PathValue("user"), r.PathValue("provider")
	if err := h.outranks(r, name); err != nil {
		return err
	}
	if _, err := h.Users.Unlink(r.Context(), name, provider); err != nil {
		return err
	}
	if err := h.Groups.Provide(r.Context(), provider, name, nil); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// register creates the account of a person an identity provider knows. The token
// says the identity, the body the fields the person may choose.
func (h *Handler) register(w http.ResponseWriter, r *http.Request, wanted *iamv1alpha2.User) error {
	name, subject, err := mapping.Registration(caller(r).GetExtra())
	if err != nil {
		return status.Forbidden(iamv1alpha2.Resource("users"), wanted.Name, "%w", err)
	}
	if wanted.Spec.EncryptedPassword != "" {
		return status.Invalid("spec.password", "the password of this account is the identity provider's")
	}
	provider, err := h.Providers.Provider(r.Context(), name)
	if err != nil {
		return err
	}
	if provider == nil || provider.Mapping.Method != identity.MappingAuto && provider.Mapping.Method != identity.MappingMixed {
		return status.Forbidden(iamv1alpha2.Resource("users"), wanted.Name, "people of the identity provider %q do not get accounts", name)
	}
	chosen := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{
		Email: wanted.Spec.Email, Lang: wanted.Spec.Lang, DisplayName: wanted.Spec.DisplayName, Description: wanted.Spec.Description,
	}}
	chosen.Name = wanted.Name
	iam.Identify(chosen, name, subject)
	if err := authz.CheckName(r.Context(), h.Rights, caller(r), reserved.User, iamv1alpha2.Resource("users"), wanted.Name); err != nil {
		return err
	}
	created, err := h.Users.Create(kube.AsServer(r.Context()), chosen, "")
	if err != nil {
		if apierrors.IsAlreadyExists(err) {
			return status.New(http.StatusConflict, "AlreadyExists", "the name %s belongs to another user", wanted.Name)
		}
		// How many roles the name has is not for people who are no users yet.
		if bound := (*iam.BoundError)(nil); errors.As(err, &bound) {
			return status.New(http.StatusConflict, "AlreadyExists", "the name %s is in use; choose another name", wanted.Name)
		}
		return err
	}
	return writeWritten(w, created, "")
}
