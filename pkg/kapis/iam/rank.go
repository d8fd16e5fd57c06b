package iam

import (
	"context"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authn"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// findExcess finds a role of a subject whose rules an actor does not hold.
type findExcess func(ctx context.Context, actor, subject user.Info) (*authz.Excess, error)

// checkPlatformRank returns a forbidden error when another user has a role on the platform
// or in the cluster whose rules the caller does not hold. It is for what gives the caller
// no right of that user, such as disabling and deletion: with the roles in workspaces and
// projects, which their members give, users could protect each other from it.
func (h *Handler) checkPlatformRank(r *http.Request, name string) error {
	return h.checkRank(r, name, h.Rights.FindPlatformExcess)
}

// checkRank returns a forbidden error when another user has a role that find finds.
func (h *Handler) checkRank(r *http.Request, name string, find findExcess) error {
	if caller(r).GetName() == name {
		return nil
	}
	account, _, err := h.Directory.Account(r.Context(), name)
	if err != nil {
		return err
	}
	// A personal access token sets no password, so that its scopes do not matter.
	return h.exceeds(r, find, authz.TokenOwner(caller(r)), &user.DefaultInfo{Name: name, Groups: account.Groups}, iamv1alpha2.Resource("users"), name)
}

// checkAdministratorRemains refuses, with a conflict, what takes the last administrator who
// can log in from the platform: nobody could make another one. A group that administers
// counts for one.
func (h *Handler) checkAdministratorRemains(r *http.Request, leaving string) error {
	users, groups, err := h.Rights.Administrators(r.Context())
	if err != nil || len(groups) > 0 || !slices.Contains(users, leaving) {
		return err
	}
	for _, name := range users {
		if name == leaving {
			continue
		}
		account, found, err := h.Directory.Account(r.Context(), name)
		if err != nil {
			return err
		}
		if found && authn.MayGoOn(account.State) {
			return nil
		}
	}
	return status.New(http.StatusConflict, metav1.StatusReasonConflict,
		"user %q is the last administrator of the platform; give the global role %s to another user first", leaving, iamv1alpha2.GlobalRolePlatformAdmin)
}

// checkEmail refuses to let a personal access token change an address: whoever has the
// mailbox, or the address at an identity provider, logs in as the user.
func checkEmail(r *http.Request, present, wanted *iamv1alpha2.User) error {
	if !authz.IsLimited(caller(r)) || iamv1alpha2.NormalizeEmail(present.Spec.Email) == iamv1alpha2.NormalizeEmail(wanted.Spec.Email) {
		return nil
	}
	return status.Forbidden(iamv1alpha2.Resource("users"), present.Name, "a personal access token is no way to further credentials, which the address leads to")
}

// checkUpdateRank is checkPlatformRank for an update of a user that leaves everything as it
// is by which the user logs in, and outranks for any other: whoever reads the mail of the
// user may be the user elsewhere, and logs in by the address.
func (h *Handler) checkUpdateRank(r *http.Request, manages bool, present, wanted *iamv1alpha2.User) error {
	if !manages || present.Spec.Email != wanted.Spec.Email {
		return h.outranks(r, present.Name)
	}
	return h.checkPlatformRank(r, present.Name)
}
