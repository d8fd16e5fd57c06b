package iam

import (
	"errors"
	"mime"
	"net/http"

	"k8s.io/client-go/util/retry"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// unchanged stands for the password in what a patch is applied to.
const unchanged = "(unchanged)"

// maxPatch bounds a patch of a user, in bytes.
const maxPatch = 1 << 20

// OwnGroup is where consoles of KubeSphere patch the User of who logs in for the first
// time, with the password in plain text: in Kubernetes' API. Patches of the own account are
// done as the account may be changed everywhere else, all others are Kubernetes'.
func (h *Handler) OwnGroup(kubernetes http.Handler) route.Group {
	return route.Group{Prefix: "/apis/iam.kubesphere.io/v1alpha2", Tag: "Users", Routes: []route.Route{{
		Method: http.MethodPatch, Path: "/users/{user}", ID: "patchOwnUser", Summary: "Patch a user", DocumentedElsewhere: true,
		Parameters: []route.Parameter{{In: route.InPath, Name: "user", Description: "Name of the user."}},
		Responses:  []route.Response{{Code: http.StatusOK, Description: "The user.", Model: iamv1alpha2.User{}}}, Handler: h.own(kubernetes),
	}}}
}

func (h *Handler) own(kubernetes http.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		// Everybody comes here for the own account, so that what is forwarded
		// takes a right that is not everybody's.
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		own := r.PathValue("user") == caller(r).GetName()
		if !own || r.URL.Query().Has("dryRun") || media != "application/json-patch+json" && media != "application/merge-patch+json" {
			if may, err := h.may(r, "patch", "users"); own && (err != nil || !may) {
				return errors.Join(err, status.UnsupportedMediaType(media, "application/json-patch+json or application/merge-patch+json, without dryRun"))
			}
			kubernetes.ServeHTTP(w, r)
			return nil
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxPatch)
		return handler(h.patchOwn)(w, r)
	}
}

func (h *Handler) patchOwn(w http.ResponseWriter, r *http.Request) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return h.patchOwnOnce(w, r) })
}

// patchOwnOnce applies a patch to the present state, and fails with a conflict if another
// state is written meanwhile.
func (h *Handler) patchOwnOnce(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("user")
	present, err := h.Directory.Get(r.Context(), name)
	if err != nil {
		return err
	}
	present.Spec.EncryptedPassword, present.ManagedFields = unchanged, nil
	wanted := &iamv1alpha2.User{}
	if err := route.Patched(r, present, wanted); err != nil {
		return err
	}
	wanted.Name = name
	password := wanted.Spec.EncryptedPassword
	if password != unchanged && present.Annotations[iamv1alpha2.AnnotationUninitialized] == "" {
		return status.Forbidden(iamv1alpha2.Resource("users"), name, "the password is changed with the present one at %s/users/%s/password", prefix, name)
	}
	if _, limited := caller(r).GetExtra()[authz.ExtraScopes]; limited && password != unchanged {
		return status.Forbidden(iamv1alpha2.Resource("users"), name, "a personal access token is no way to further credentials")
	}
	manages, err := h.may(r, "update", "users")
	if err != nil {
		return err
	}
	if _, err := h.Users.Update(r.Context(), wanted, !manages, func(present, wanted *iamv1alpha2.User) error {
		return h.checkProfile(r, manages, present, wanted)
	}); err != nil {
		return err
	}
	if password != unchanged {
		if err := h.Users.SetPassword(r.Context(), name, password, session(caller(r)), true); err != nil {
			return err
		}
	}
	return h.getUser(w, r)
}

// keepUninitialized lets the mark of a password that somebody else chose stay:
// only a new password removes it from the own account.
func keepUninitialized(present, wanted *iamv1alpha2.User) {
	mark := present.Annotations[iamv1alpha2.AnnotationUninitialized]
	if mark == "" {
		return
	}
	if wanted.Annotations == nil {
		wanted.Annotations = make(map[string]string)
	}
	wanted.Annotations[iamv1alpha2.AnnotationUninitialized] = mark
}
