package iam

import (
	"context"
	"encoding/json"
	"net/http"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/client-go/util/retry"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// GroupMember is a user to put into a group.
type GroupMember struct {
	UserName  string `json:"userName" description:"Name of the user."`
	GroupName string `json:"groupName" description:"Name of the group."`
}

// inWorkspace lists the objects of a type that belong to the workspace of the
// path.
func (h *Handler) inWorkspace(resource string) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		q, err := h.listed(w, r, resource)
		if err != nil {
			return err
		}
		return h.page(w, r, resource, with(q, query.Filter{Key: "workspace", Value: r.PathValue("workspace")}))
	}
}

func (h *Handler) getGroup(w http.ResponseWriter, r *http.Request) error {
	view, err := h.Directory.Cache.View(r.Context(), h.Types.Type("groups"))
	if err != nil {
		return err
	}
	name := r.PathValue("group")
	item := view.Get("", name)
	if item == nil || item.Labels().Get(iamv1alpha2.LabelWorkspace) != r.PathValue("workspace") {
		return apierrors.NewNotFound(iamv1alpha2.Resource("groups"), name)
	}
	shown, err := query.ParseObject(r)
	if err != nil {
		return err
	}
	return route.WriteObject(w, shown.Projection.Of(item.Shown(false)), shown.Pretty)
}

func (h *Handler) createGroup(w http.ResponseWriter, r *http.Request) error {
	wanted := &iamv1alpha2.Group{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if err := authz.CheckName(r.Context(), h.Rights, caller(r), reserved.Group, iamv1alpha2.Resource("groups"), reserved.NameOf(wanted.Name, wanted.GenerateName)); err != nil {
		return err
	}
	if err := h.checkGroupFields(r, nil, wanted); err != nil {
		return err
	}
	subject := &user.DefaultInfo{Groups: []string{wanted.Name}}
	confirmed, err := confirmed(r)
	if err != nil {
		return err
	}
	if confirmed {
		excess, err := h.Rights.FindExcess(r.Context(), caller(r), subject)
		if err != nil {
			return err
		}
		if excess != nil { // the bindings may be those of others: where they are is not said
			return status.Forbidden(iamv1alpha2.Resource("groups"), wanted.Name, "bindings that name it give rights user %q does not have, so that they cannot be confirmed", caller(r).GetName())
		}
		if err := h.mayConfirmMembers(r, wanted.Name); err != nil {
			return err
		}
	}
	release, err := h.Limits.Reserve(r.Context(), caller(r), tenant.GroupsPerWorkspace, r.PathValue("workspace"), 1)
	if err != nil {
		return err
	}
	defer release()
	created, err := h.Groups.Create(r.Context(), r.PathValue("workspace"), wanted, confirmed)
	if err != nil {
		return h.bound(r, err, subject)
	}
	return writeGroup(w, created)
}

// mayConfirmMembers returns a forbidden error when a new group has members at once whom the
// caller does not manage. Who they are is not said.
func (h *Handler) mayConfirmMembers(r *http.Request, name string) error {
	members, err := h.Groups.MembersOf(r.Context(), r.PathValue("workspace"), name)
	if err != nil || len(members) == 0 {
		return err
	}
	manages, err := h.may(r, "update", "users")
	if err != nil || manages {
		return err
	}
	return status.Forbidden(iamv1alpha2.Resource("groups"), name, "users have a group of that name, and user %q does not have the right to update users; choose another name", caller(r).GetName())
}

func (h *Handler) updateGroup(w http.ResponseWriter, r *http.Request) error {
	wanted := &iamv1alpha2.Group{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if name := r.PathValue("group"); wanted.Name != name {
		return status.BadRequest("the name of the object (%s) is not the one in the URL (%s)", wanted.Name, name)
	}
	return h.replaceGroup(w, r, wanted)
}

func (h *Handler) replaceGroup(w http.ResponseWriter, r *http.Request, wanted *iamv1alpha2.Group) error {
	updated, err := h.Groups.Update(r.Context(), r.PathValue("workspace"), wanted, func(present *iamv1alpha2.Group) error {
		if err := h.checkGroupFields(r, present, wanted); err != nil {
			return err
		}
		if wanted.Labels[iamv1alpha2.LabelGroupParent] == present.Labels[iamv1alpha2.LabelGroupParent] {
			return nil
		}
		return h.mayDeleteGroup(r, present) // it goes with its new parent
	})
	if err != nil {
		return err
	}
	return writeGroup(w, updated)
}

// checkGroupFields refuses to let the caller change the metadata of a group that
// this server acts on. The workspace is the one of the path, and the parent is
// checked when it is written. present is nil for a new group.
func (h *Handler) checkGroupFields(r *http.Request, present, wanted *iamv1alpha2.Group) error {
	resource := iamv1alpha2.Resource("groups")
	var before metav1.Object
	if present != nil {
		before = present
	}
	if err := authz.CheckMetadata(r.Context(), h.Rights, caller(r), resource, before, wanted); err != nil {
		return err
	}
	after := reserved.Written(before, wanted)
	reserved.Keep(resource, before, after, iamv1alpha2.LabelWorkspace, iamv1alpha2.LabelGroupParent)
	return authz.CheckFields(r.Context(), h.Rights, caller(r), resource, before, after)
}

// patchGroup merges labels and annotations (RFC 7396).
func (h *Handler) patchGroup(w http.ResponseWriter, r *http.Request) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return h.patchGroupOnce(w, r) })
}

func (h *Handler) patchGroupOnce(w http.ResponseWriter, r *http.Request) error {
	present, err := h.Groups.Get(r.Context(), r.PathValue("workspace"), r.PathValue("group"))
	if err != nil {
		return err
	}
	wanted := &iamv1alpha2.Group{}
	if err := route.Patched(r, present, wanted); err != nil {
		return err
	}
	wanted.Name = present.Name
	return h.replaceGroup(w, r, wanted)
}

func (h *Handler) deleteGroup(w http.ResponseWriter, r *http.Request) error {
	workspace, name := r.PathValue("workspace"), r.PathValue("group")
	group, err := h.Groups.Get(r.Context(), workspace, name)
	if err != nil {
		return err
	}
	if err := h.mayDeleteGroup(r, group); err != nil {
		return err
	}
	if err := h.Groups.Delete(r.Context(), workspace, name); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// mayDeleteGroup returns a forbidden error when the caller may not delete a group and the
// groups below it: their members lose their roles.
func (h *Handler) mayDeleteGroup(r *http.Request, group *iamv1alpha2.Group) error {
	below, err := h.Groups.Descendants(r.Context(), group)
	if err != nil {
		return err
	}
	for _, deleted := range append(below, group) {
		if err := h.mayJoin(r, deleted.Name); err != nil {
			return err
		}
	}
	return nil
}

func writeGroup(w http.ResponseWriter, group *iamv1alpha2.Group) error {
	group.APIVersion, group.Kind, group.ManagedFields = iamv1alpha2.SchemeGroupVersion.String(), "Group", nil
	body, err := json.Marshal(group)
	if err != nil {
		return err
	}
	return route.WriteObject(w, string(body), false)
}

// createGroupBindings puts users into groups of the workspace. Who is put into
// a group gets its roles, so that this takes the right to all of them.
func (h *Handler) createGroupBindings(w http.ResponseWriter, r *http.Request) error {
	var added []GroupMember
	if err := route.ReadJSON(r, &added); err != nil {
		return err
	}
	if err := route.CheckDuplicates(added, func(one GroupMember) string { return one.UserName + " in " + one.GroupName }); err != nil {
		return err
	}
	workspace := r.PathValue("workspace")
	for n, one := range added {
		if err := r.Context().Err(); err != nil {
			return err
		}
		if one.UserName == "" || one.GroupName == "" {
			return status.BadRequest("element %d of the body needs a userName and a groupName", n)
		}
		if _, err := h.Groups.Get(r.Context(), workspace, one.GroupName); err != nil {
			return err
		}
		if _, err := h.Directory.Get(r.Context(), one.UserName); err != nil {
			return err
		}
		if err := h.mayJoin(r, one.GroupName); err != nil {
			return err
		}
	}
	release, err := h.Limits.Reserve(r.Context(), caller(r), tenant.GroupBindingsPerWorkspace, workspace, len(added))
	if err != nil {
		return err
	}
	defer release()
	releaseMembers, err := h.reserveMemberships(r, workspace, added)
	if err != nil {
		return err
	}
	defer releaseMembers()
	bindings := make([]*iamv1alpha2.GroupBinding, 0, len(added))
	for _, one := range added {
		if err := r.Context().Err(); err != nil {
			return err
		}
		binding, err := h.Groups.Join(r.Context(), workspace, one.UserName, one.GroupName)
		if err != nil {
			return err
		}
		binding.ManagedFields = nil
		bindings = append(bindings, binding)
	}
	status.WriteJSON(w, http.StatusOK, bindings)
	return nil
}

func (h *Handler) deleteGroupBinding(w http.ResponseWriter, r *http.Request) error {
	binding, err := h.Groups.Membership(r.Context(), r.PathValue("workspace"), r.PathValue("groupbinding"))
	if err != nil {
		return err
	}
	if err := h.checkGroupRemoval(r, binding.GroupRef.Name, binding.Users...); err != nil {
		return err
	}
	if err := h.Groups.Leave(r.Context(), binding); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// checkGroupRemoval returns a forbidden error when the caller may not take users
// out of a group: they lose its roles.
func (h *Handler) checkGroupRemoval(r *http.Request, group string, users ...string) error {
	ref := rbacv1.RoleRef{APIGroup: iamv1alpha2.GroupName, Kind: "Group", Name: group}
	return authz.CheckRevoke(r.Context(), groupRevoker{h, r}, caller(r), authz.Scope{}, ref, authz.UserSubjects(users...))
}

// groupRevoker decides about all roles of a group: it takes the rights of each of
// them to take users out of the group.
type groupRevoker struct {
	handler *Handler
	request *http.Request
}

// MayRevoke returns nil when the caller holds all roles of the group.
func (g groupRevoker) MayRevoke(_ context.Context, _ user.Info, _ authz.Scope, group rbacv1.RoleRef) error {
	return g.handler.mayJoin(g.request, group.Name)
}
