package iam

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tidwall/sjson"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// PasswordChange is what a password is changed with.
type PasswordChange struct {
	// CurrentPassword is needed by who may not change the password of others.
	CurrentPassword string `json:"currentPassword,omitempty" description:"The present password; needed unless one may update the passwords of others."`
	// Password is the new one.
	Password string `json:"password" description:"The new password: 8 characters or more, 72 bytes at most."`
}

// listUsers lists users, with their global roles.
func (h *Handler) listUsers(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listed(w, r, "users", "globalrole", "ingroup", "notingroup")
	if err != nil {
		return err
	}
	roles, err := h.Directory.Members(r.Context(), iam.Place{})
	if err != nil {
		return err
	}
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	lists, err := h.may(r, "list", "users")
	if err != nil {
		return err
	}
	form := (*objects.Form)(nil)
	if !lists { // whoever invites others looks them up, and learns no more than who they are
		if err := h.checkUserFilters(r, parameters); err != nil {
			return err
		}
		roles, form = nil, lookupForm
	}
	if role := parameters.Get("globalrole"); role != "" {
		members := make(map[string]string)
		for name, has := range roles {
			if has == role {
				members[name] = has
			}
		}
		q = iam.Named(q, names(members))
	}
	for parameter, wanted := range map[string]bool{"ingroup": true, "notingroup": false} {
		if group := parameters.Get(parameter); group != "" {
			if q, err = h.inGroup(r, q, group, wanted); err != nil {
				return err
			}
		}
	}
	return h.writeUsers(w, r, &q, form, iamv1alpha2.AnnotationGlobalRole, roles)
}

// inGroup restricts a query to the users who are, or are not, in a group.
func (h *Handler) inGroup(r *http.Request, q query.Query, group string, wanted bool) (query.Query, error) {
	all, err := h.Directory.Users(r.Context(), &query.Query{Limit: query.Unlimited, Page: 1, SortBy: "name"}, nil)
	if err != nil {
		return q, err
	}
	var found []string
	for _, item := range all.Items {
		in := false
		for _, name := range item.Field("spec.groups").Array() {
			in = in || name.String() == group
		}
		if in == wanted {
			found = append(found, item.Name())
		}
	}
	return iam.Named(q, found), nil
}

// writeUsers answers with a page of users in a form, each annotated with a role.
func (h *Handler) writeUsers(w http.ResponseWriter, r *http.Request, q *query.Query, form *objects.Form, annotation string, roles map[string]string) error {
	page, err := h.Directory.Users(r.Context(), q, form)
	if err != nil {
		return err
	}
	return route.WriteList(w, r, page.TextsOf(q, func(item *objects.Item) (string, error) {
		return annotated(item, annotation, roles[item.Name()])
	}), q.Pretty)
}

// annotated is the JSON of an object with an annotation, unless its value is empty.
func annotated(item *objects.Item, annotation, value string) (string, error) {
	shown := item.Shown(false)
	if value == "" {
		return shown, nil
	}
	return sjson.Set(shown, "metadata.annotations."+escaped(annotation), value)
}

// escaped is a key as part of a path of gjson.
func escaped(key string) string {
	var path []byte
	for n := range len(key) {
		if key[n] == '.' {
			path = append(path, '\\')
		}
		path = append(path, key[n])
	}
	return string(path)
}

func (h *Handler) getUser(w http.ResponseWriter, r *http.Request) error {
	return h.writeUser(w, r, nil, iam.Place{}, iamv1alpha2.AnnotationGlobalRole, r.PathValue("user"))
}

// writeUser answers with a user in a form, annotated with the role in a place.
func (h *Handler) writeUser(w http.ResponseWriter, r *http.Request, form *objects.Form, place iam.Place, annotation, name string) error {
	item, err := h.Directory.User(r.Context(), name)
	if err != nil {
		return err
	}
	if item == nil {
		return apierrors.NewNotFound(iamv1alpha2.Resource("users"), name)
	}
	role, err := h.Directory.RoleOf(r.Context(), place, name)
	if err != nil {
		return err
	}
	object, err := annotated(form.Of(h.Types.Type("users"), item), annotation, role)
	if err != nil {
		return err
	}
	shown, err := query.ParseObject(r)
	if err != nil {
		return err
	}
	return route.WriteObject(w, shown.Projection.Of(object), shown.Pretty)
}

func (h *Handler) createUser(w http.ResponseWriter, r *http.Request) error {
	wanted := &iamv1alpha2.User{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if err := checkUserSize(nil, wanted); err != nil {
		return err
	}
	if caller(r).GetName() == identity.PreRegistration {
		return h.register(w, r, wanted)
	}
	role := wanted.Annotations[iamv1alpha2.AnnotationGlobalRole]
	if role != "" {
		if err := h.mayGive(r, iam.Place{}, role); err != nil {
			return err
		}
	}
	if err := authz.CheckName(r.Context(), h.Rights, caller(r), reserved.User, iamv1alpha2.Resource("users"), wanted.Name); err != nil {
		return err
	}
	if err := h.checkUserFields(r, nil, wanted); err != nil {
		return err
	}
	if err := h.vouchForEmail(r, nil, wanted); err != nil {
		return err
	}
	create, subject := h.Users.Create, &user.DefaultInfo{Name: wanted.Name}
	confirmed, err := confirmed(r)
	if err != nil {
		return err
	}
	if confirmed {
		if err := h.holdsAll(r, subject, iamv1alpha2.Resource("users"), wanted.Name); err != nil {
			return err
		}
		create = h.Users.CreateBound
	}
	created, err := create(r.Context(), wanted, role)
	if err != nil {
		return h.bound(r, err, subject)
	}
	return writeWritten(w, created, role)
}

func (h *Handler) updateUser(w http.ResponseWriter, r *http.Request) error {
	wanted := &iamv1alpha2.User{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	name := r.PathValue("user")
	if wanted.Name != name {
		return status.BadRequest("the name of the object (%s) is not the one in the URL (%s)", wanted.Name, name)
	}
	manages, err := h.may(r, "update", "users")
	if err != nil {
		return err
	}
	has, err := h.Directory.RoleOf(r.Context(), iam.Place{}, name)
	if err != nil {
		return err
	}
	role := wanted.Annotations[iamv1alpha2.AnnotationGlobalRole]
	changes := role != "" && role != has
	if changes {
		if !manages {
			return status.Forbidden(iamv1alpha2.Resource("users"), name, "changing the global role takes the right to update users")
		}
		if err := h.mayGive(r, iam.Place{}, role); err != nil {
			return err
		}
	}
	updated, err := h.Users.Update(r.Context(), wanted, !manages, func(present, wanted *iamv1alpha2.User) error {
		if err := h.checkUpdateRank(r, manages, present, wanted); err != nil {
			return err
		}
		if changes || wanted.Status.State == iamv1alpha2.UserDisabled {
			if err := h.checkAdministratorRemains(r, name); err != nil {
				return err
			}
		}
		return h.checkProfile(r, manages, present, wanted)
	})
	if err != nil {
		return err
	}
	if changes {
		if err := h.Bindings.Set(r.Context(), iam.Place{}, name, role, func([]rbacv1.RoleRef) error {
			if err := h.mayGive(r, iam.Place{}, role); err != nil {
				return err
			}
			if err := h.checkPlatformRank(r, name); err != nil {
				return err
			}
			return h.checkAdministratorRemains(r, name)
		}); err != nil {
			return err
		}
		has = role
	}
	return writeWritten(w, updated, has)
}

// checkProfile returns an error when the caller may not write a user over the present one.
// In wanted, it lets the mark of a password that another user chose stay for the own
// account.
func (h *Handler) checkProfile(r *http.Request, manages bool, present, wanted *iamv1alpha2.User) error {
	if err := checkEmail(r, present, wanted); err != nil {
		return err
	}
	if err := checkUserSize(present, wanted); err != nil {
		return err
	}
	if !manages {
		return nil
	}
	if present.Name == caller(r).GetName() {
		// The request was authenticated before the user was disabled.
		if present.Status.State == iamv1alpha2.UserDisabled && wanted.Status.State == iamv1alpha2.UserActive {
			return status.Forbidden(iamv1alpha2.Resource("users"), present.Name, "the user is disabled, which another user has to end")
		}
		keepUninitialized(present, wanted)
	}
	if err := h.checkUserFields(r, present, wanted); err != nil {
		return err
	}
	return h.vouchForEmail(r, present, wanted)
}

// checkUserFields refuses to let the caller change the metadata of a user that this
// server acts on, such as who the user is at an identity provider. What the server
// keeps by itself is no change when it is left out. present is nil for a new user,
// whom anybody who may create one may tell to choose a password.
func (h *Handler) checkUserFields(r *http.Request, present, wanted *iamv1alpha2.User) error {
	resource := iamv1alpha2.Resource("users")
	if present == nil {
		after := reserved.Written(nil, wanted)
		reserved.Keep(resource, nil, after, iamv1alpha2.AnnotationUninitialized)
		return authz.CheckFields(r.Context(), h.Rights, caller(r), resource, nil, after)
	}
	after := reserved.Written(present, wanted)
	if present.Annotations[iamv1alpha2.AnnotationLastPasswordChange] != "" {
		reserved.Keep(resource, present, after, iamv1alpha2.AnnotationLastPasswordChange)
	}
	reserved.KeepOmitted(resource, present, after, iamv1alpha2.LabelIdentityProvider, iamv1alpha2.LabelOriginUID, iamv1alpha2.AnnotationIdentity+"*")
	keepVerifiedEmail(present, after)
	return authz.CheckFields(r.Context(), h.Rights, caller(r), resource, present, after)
}

// writeWritten answers with a user as it was written, without the password.
func writeWritten(w http.ResponseWriter, written *iamv1alpha2.User, role string) error {
	shown := written.DeepCopy()
	shown.APIVersion, shown.Kind = iamv1alpha2.SchemeGroupVersion.String(), "User"
	shown.Spec.EncryptedPassword, shown.ManagedFields = "", nil
	if role != "" {
		if shown.Annotations == nil {
			shown.Annotations = make(map[string]string)
		}
		shown.Annotations[iamv1alpha2.AnnotationGlobalRole] = role
	}
	body, err := json.Marshal(shown)
	if err != nil {
		return err
	}
	return route.WriteObject(w, string(body), false)
}

func (h *Handler) deleteUser(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("user")
	if err := h.checkPlatformRank(r, name); err != nil {
		return err
	}
	if err := h.checkAdministratorRemains(r, name); err != nil {
		return err
	}
	if err := h.Users.Delete(r.Context(), name); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

func (h *Handler) changePassword(w http.ResponseWriter, r *http.Request) error {
	change := PasswordChange{}
	if err := route.ReadJSON(r, &change); err != nil {
		return err
	}
	name, who := r.PathValue("user"), caller(r)
	himself := name == who.GetName()
	manages, err := h.may(r, "update", "users/password")
	if err != nil {
		return err
	}
	if err := h.outranks(r, name); err != nil {
		return err
	}
	keep := ""
	if himself {
		keep = session(who)
	}
	if !manages && change.CurrentPassword == "" {
		return status.BadRequest("currentPassword is missing")
	}
	if !manages || himself && change.CurrentPassword != "" {
		_, err := h.Passwords.Authenticate(r.Context(), identity.Attempt{Name: name, Password: change.CurrentPassword, Address: request.ClientAddress(r)})
		var throttled *identity.Throttled
		switch {
		case errors.As(err, &throttled):
			return status.TooManyRequests(throttled.After, "%s", throttled)
		case errors.Is(err, identity.ErrIncorrect):
			return status.BadRequest("the current password is not correct")
		case errors.Is(err, identity.ErrBusy):
			return status.Unavailable(5, "too many passwords are checked at the moment")
		case err != nil:
			return err
		}
	}
	if err := h.Users.SetPassword(r.Context(), name, change.Password, keep, himself); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// listLoginRecords lists the attempts to log in of a user.
func (h *Handler) listLoginRecords(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listed(w, r, "loginrecords")
	if err != nil {
		return err
	}
	return h.page(w, r, "loginrecords", with(q, query.Filter{Key: "user", Value: r.PathValue("user")}))
}
