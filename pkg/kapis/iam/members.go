package iam

import (
	"errors"
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Member is a user with a role in a place.
type Member struct {
	// Username is the name of the user.
	Username string `json:"username" description:"Name of the user."`
	// RoleRef is the name of the role.
	RoleRef string `json:"roleRef" description:"Name of the role."`
}

// members are the operations on the members of one kind of place.
type members struct {
	*Handler
	// place says which one a request is about.
	place func(r *http.Request) iam.Place
	// resource is what members are called there, parameter the name of one.
	resource, parameter string
	// annotation carries the role of a member.
	annotation string
}

// named is the member a request is about.
func (m *members) named(r *http.Request) string { return r.PathValue(m.parameter) }

func (m *members) notFound(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Group: iamv1alpha2.GroupName, Resource: m.resource}, name)
}

func (m *members) list(w http.ResponseWriter, r *http.Request) error {
	q, err := m.listed(w, r, "users")
	if err != nil {
		return err
	}
	form, err := m.form(r, "list")
	if err != nil {
		return err
	}
	if form != nil {
		parameters, err := request.ParametersOf(r)
		if err != nil {
			return err
		}
		if err := m.checkUserFilters(r, parameters); err != nil {
			return err
		}
	}
	roles, err := m.Directory.Members(r.Context(), m.place(r))
	if err != nil {
		return err
	}
	q = iam.Named(q, names(roles))
	return m.writeUsers(w, r, &q, form, m.annotation, roles)
}

func (m *members) get(w http.ResponseWriter, r *http.Request) error {
	place, name := m.place(r), m.named(r)
	role, err := m.Directory.RoleOf(r.Context(), place, name)
	if err != nil {
		return err
	}
	if role == "" {
		return m.notFound(name)
	}
	form, err := m.form(r, "get")
	if err != nil {
		return err
	}
	if name == caller(r).GetName() {
		form = nil
	}
	return m.writeUser(w, r, form, place, m.annotation, name)
}

// form is what the caller sees of members, nil for all: the members of a place are users
// of the whole platform, and to read those takes a right of its own.
func (m *members) form(r *http.Request, verb string) (*objects.Form, error) {
	reads, err := m.may(r, verb, "users")
	if err != nil || reads {
		return nil, err
	}
	return memberForm, nil
}

// add makes users members. All of them are checked before the first becomes one.
func (m *members) add(w http.ResponseWriter, r *http.Request) error {
	var added []Member
	if err := route.ReadJSON(r, &added); err != nil {
		return err
	}
	if err := route.CheckDuplicates(added, func(one Member) string { return one.Username }); err != nil {
		return err
	}
	for _, one := range added {
		if err := r.Context().Err(); err != nil {
			return err
		}
		if err := m.check(r, one); err != nil {
			return err
		}
	}
	limit, owner := tenant.RoleBindingsPerWorkspace, m.place(r).Workspace
	if namespace := m.place(r).Namespace; namespace != "" {
		limit, owner = tenant.RoleBindingsPerNamespace, namespace
	}
	if owner != "" {
		releaseSubjects, err := m.Limits.ReserveSubjects(r.Context(), caller(r), m.place(r).Workspace, m.place(r).Namespace, len(added))
		if err != nil {
			return err
		}
		defer releaseSubjects()
		release, err := m.Limits.Reserve(r.Context(), caller(r), limit, owner, len(added))
		if err != nil {
			return err
		}
		defer release()
		if m.place(r).Namespace == "" {
			given := make([]string, len(added))
			for n := range added {
				given[n] = added[n].RoleRef
			}
			releaseRoles, err := m.Limits.ReserveRoles(r.Context(), caller(r), owner, given...)
			if err != nil {
				return err
			}
			defer releaseRoles()
		}
	}
	for _, one := range added {
		if err := r.Context().Err(); err != nil {
			return err
		}
		if err := m.give(r, one, func([]rbacv1.RoleRef) error { return nil }); err != nil {
			return err
		}
	}
	status.WriteJSON(w, http.StatusOK, added)
	return nil
}

func (m *members) update(w http.ResponseWriter, r *http.Request) error {
	var changed Member
	if err := route.ReadJSON(r, &changed); err != nil {
		return err
	}
	name := m.named(r)
	if changed.Username != "" && changed.Username != name {
		return status.BadRequest("the name of the member (%s) is not the one in the URL (%s)", changed.Username, name)
	}
	changed.Username = name
	role, err := m.Directory.RoleOf(r.Context(), m.place(r), name)
	if err != nil {
		return err
	}
	if role == "" {
		return m.notFound(name)
	}
	if err := m.check(r, changed); err != nil {
		return err
	}
	if m.place(r).Namespace == "" {
		release, err := m.Limits.ReserveRoles(r.Context(), caller(r), m.place(r).Workspace, changed.RoleRef)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := m.give(r, changed, m.isMember(name)); err != nil {
		return err
	}
	status.WriteJSON(w, http.StatusOK, changed)
	return nil
}

// isMember returns a function that returns a not-found error for a user without roles, who
// is no member any more.
func (m *members) isMember(name string) func([]rbacv1.RoleRef) error {
	return func(present []rbacv1.RoleRef) error {
		if len(present) == 0 {
			return m.notFound(name)
		}
		return nil
	}
}

// check refuses members who do not exist, roles that do not, and roles the
// caller may not give.
func (m *members) check(r *http.Request, one Member) error {
	if one.Username == "" || one.RoleRef == "" {
		return status.BadRequest("a member needs a username and a roleRef")
	}
	if _, err := m.Directory.Get(r.Context(), one.Username); err != nil {
		return err
	}
	if err := m.mayGive(r, m.place(r), one.RoleRef); err != nil {
		return err
	}
	return m.mayTake(r, m.place(r), one.Username, one.RoleRef)
}

// mayTake refuses to let the caller take roles of a place from another user that
// give more than the caller has: who manages members does not demote an
// administrator. The role that is kept is none of them.
func (m *members) mayTake(r *http.Request, place iam.Place, name, kept string) error {
	refs, err := m.Bindings.Refs(r.Context(), place, name)
	if err != nil {
		return err
	}
	return m.mayTakeRoles(r, place, name, kept, refs)
}

func (m *members) mayTakeRoles(r *http.Request, place iam.Place, name, kept string, refs []rbacv1.RoleRef) error {
	for _, ref := range refs {
		if ref.Name == kept {
			continue
		}
		if err := authz.CheckRevoke(r.Context(), m.Roles, caller(r), scopeOf(place), ref, authz.UserSubjects(name)); err != nil {
			return err
		}
	}
	return nil
}

// give sets the role of a member, unless check returns an error about the roles that are
// replaced. A manager of a workspace is an administrator of it as long as he is the
// manager.
func (m *members) give(r *http.Request, one Member, check func(present []rbacv1.RoleRef) error) error {
	place := m.place(r)
	return m.Bindings.Set(r.Context(), place, one.Username, one.RoleRef, func(present []rbacv1.RoleRef) error {
		if err := check(present); err != nil {
			return err
		}
		if err := m.mayGive(r, place, one.RoleRef); err != nil {
			return err
		}
		if err := m.mayTakeRoles(r, place, one.Username, one.RoleRef, present); err != nil {
			return err
		}
		if place.Workspace == "" || one.RoleRef == place.Workspace+"-admin" {
			return nil
		}
		return m.dismiss(r, place.Workspace, one.Username)
	})
}

// dismiss takes the management of a workspace from a user, whose binding may not have
// followed the template yet.
func (m *members) dismiss(r *http.Request, workspace, name string) error {
	role := rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "WorkspaceRole", Name: workspace + "-admin"}
	return m.Managers.Dismiss(r.Context(), workspace, name, func() error {
		return m.mayTakeRoles(r, iam.Place{Workspace: workspace}, name, "", []rbacv1.RoleRef{role})
	})
}

// takeAll takes all roles of a user in a place away.
func (m *members) takeAll(r *http.Request, place iam.Place, name string) error {
	return m.Bindings.Remove(r.Context(), place, name, func(present []rbacv1.RoleRef) error {
		return m.mayTakeRoles(r, place, name, "", present)
	})
}

// remove takes a member's roles away. Who leaves a workspace leaves its
// groups and its projects.
func (m *members) remove(w http.ResponseWriter, r *http.Request) error {
	place, name := m.place(r), m.named(r)
	roles, err := m.Bindings.Roles(r.Context(), place, name)
	if err != nil {
		return err
	}
	if len(roles) == 0 {
		return m.notFound(name)
	}
	if err := m.mayTake(r, place, name, ""); err != nil {
		return err
	}
	if place.Workspace != "" {
		if err := m.leaveWorkspace(r, place.Workspace, name); err != nil {
			return err
		}
	}
	if err := m.takeAll(r, place, name); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// leaveWorkspace takes what a member has in a workspace beside its roles. All of
// it is checked before the first is taken.
func (m *members) leaveWorkspace(r *http.Request, workspace, name string) error {
	namespaces, err := m.Managers.Namespaces(r.Context(), workspace)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces {
		if err := m.mayTake(r, iam.Place{Namespace: namespace}, name, ""); err != nil {
			return err
		}
	}
	groups, err := m.Groups.GroupNames(r.Context(), workspace, name)
	if err != nil {
		return err
	}
	for _, group := range groups {
		if err := m.checkGroupRemoval(r, group, name); err != nil {
			return err
		}
	}
	if err := m.dismiss(r, workspace, name); err != nil {
		return err
	}
	var problems []error
	for _, namespace := range namespaces {
		problems = append(problems, m.takeAll(r, iam.Place{Namespace: namespace}, name))
	}
	return errors.Join(append(problems, m.Groups.LeaveWorkspace(r.Context(), workspace, name))...)
}
