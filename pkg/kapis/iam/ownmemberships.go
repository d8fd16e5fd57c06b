package iam

import (
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
)

// membershipRoutes are about the groups of one user, in whatever workspaces they are: users
// are put into them without being asked.
func (h *Handler) membershipRoutes(user route.Parameter) []route.Route {
	return []route.Route{
		{
			Method: http.MethodGet, Path: "/users/{user}/groupbindings", ID: "listUserGroupBindings", Summary: "List the memberships of a user in groups of all workspaces",
			Parameters: paging(user), Responses: answer(GroupBindingList{}, "The page."), Handler: h.listUserGroupBindings,
		},
		{
			Method: http.MethodDelete, Path: "/users/{user}/groupbindings/{groupbinding}", ID: "leaveGroup", Summary: "Take a user out of a group",
			Description: "Users leave any group, and lose its roles. Others need all rights the roles of the group give.",
			Parameters:  []route.Parameter{user, inPath("groupbinding", "Name of the membership.")}, Responses: answer(route.Message{}, "The user is no member any more."), Handler: h.leaveGroup,
		},
	}
}

func (h *Handler) listUserGroupBindings(w http.ResponseWriter, r *http.Request) error {
	q, err := h.listed(w, r, "groupbindings")
	if err != nil {
		return err
	}
	return h.page(w, r, "groupbindings", with(q, query.Filter{Key: "user", Value: r.PathValue("user")}))
}

func (h *Handler) leaveGroup(w http.ResponseWriter, r *http.Request) error {
	user, name := r.PathValue("user"), r.PathValue("groupbinding")
	binding := &iamv1alpha2.GroupBinding{}
	if err := h.Groups.Client.Get(r.Context(), client.ObjectKey{Name: name}, binding); err != nil {
		return err
	}
	if !slices.Contains(binding.Users, user) {
		return apierrors.NewNotFound(iamv1alpha2.Resource("groupbindings"), name)
	}
	if err := h.checkGroupRemoval(r, binding.GroupRef.Name, user); err != nil {
		return err
	}
	if err := h.Groups.Remove(r.Context(), binding, user); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}
