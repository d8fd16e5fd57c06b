package tenant

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
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

// seesNamespaces is the action that has to be allowed to see a namespace.
func seesNamespaces() authz.Action { return authz.Action{Verb: "list", Resource: "namespaces"} }

// listNamespaces lists the namespaces the caller may see: all of them, or
// those of the workspace of the path.
func (h *Handler) listNamespaces(w http.ResponseWriter, r *http.Request) error {
	return h.namespacesOf(w, r, caller(r))
}

// listMemberNamespaces lists the namespaces of a workspace a member may see.
func (h *Handler) listMemberNamespaces(w http.ResponseWriter, r *http.Request) error {
	account, found, err := h.Directory.Account(r.Context(), r.PathValue("workspacemember"))
	if err != nil {
		return err
	}
	if !found {
		return status.NotFound("user %q not found", r.PathValue("workspacemember"))
	}
	return h.namespacesOf(w, r, &user.DefaultInfo{Name: account.Name, Groups: append(account.Groups, user.AllAuthenticated)})
}

func (h *Handler) namespacesOf(w http.ResponseWriter, r *http.Request, who user.Info) error {
	visible, err := h.Rights.VisibleNamespaces(r.Context(), who, seesNamespaces())
	if err != nil {
		return err
	}
	var filters []query.Filter
	if r.PathValue("workspace") != "" {
		filters = append(filters, of(r))
	}
	return h.list(w, r, h.Types.Catalog.Type("namespaces"), visible, filters...)
}

func (h *Handler) getNamespace(w http.ResponseWriter, r *http.Request) error {
	return h.get(w, r, h.Types.Catalog.Type("namespaces"), r.PathValue("namespace"), inWorkspace(r))
}

func (h *Handler) createNamespace(w http.ResponseWriter, r *http.Request) error {
	wanted := &corev1.Namespace{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if err := authz.CheckName(r.Context(), h.Rights, caller(r), reserved.Namespace, namespaces, wanted.Name); err != nil {
		return err
	}
	if err := h.mayLabel(r, nil, wanted); err != nil {
		return err
	}
	release, err := h.Limits.ReserveProject(r.Context(), caller(r), r.PathValue("workspace"))
	if err != nil {
		return err
	}
	defer release()
	created, err := h.Projects.Create(r.Context(), r.PathValue("workspace"), wanted, caller(r))
	if err != nil {
		return err
	}
	return write(w, created, "v1", "Namespace")
}

func (h *Handler) updateNamespace(w http.ResponseWriter, r *http.Request) error {
	wanted := &corev1.Namespace{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if name := r.PathValue("namespace"); wanted.Name != name {
		return status.BadRequest("the name of the object (%s) is not the one in the URL (%s)", wanted.Name, name)
	}
	return h.replaceNamespace(w, r, wanted)
}

func (h *Handler) patchNamespace(w http.ResponseWriter, r *http.Request) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return h.patchNamespaceOnce(w, r) })
}

func (h *Handler) patchNamespaceOnce(w http.ResponseWriter, r *http.Request) error {
	present, err := h.Projects.Get(r.Context(), r.PathValue("workspace"), r.PathValue("namespace"))
	if err != nil {
		return err
	}
	wanted := &corev1.Namespace{}
	if err := route.Patched(r, present, wanted); err != nil {
		return err
	}
	wanted.Name = present.Name
	return h.replaceNamespace(w, r, wanted)
}

func (h *Handler) replaceNamespace(w http.ResponseWriter, r *http.Request, wanted *corev1.Namespace) error {
	from, to := r.PathValue("workspace"), wanted.Labels[iamv1alpha2.LabelWorkspace]
	var release func()
	defer func() {
		if release != nil {
			release()
		}
	}()
	updated, err := h.Projects.Update(r.Context(), from, wanted, func(present *corev1.Namespace) error { //nolint:contextcheck // the request's
		err := h.checkNamespace(r, present, wanted)
		if err == nil && to != "" && to != from && release == nil {
			release, err = h.Limits.ReserveProject(r.Context(), caller(r), to)
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(w, updated, "v1", "Namespace")
}

// checkNamespace returns an error when the caller may not write a namespace of the
// workspace of the path over the present one.
func (h *Handler) checkNamespace(r *http.Request, present, wanted *corev1.Namespace) error {
	if err := h.mayLabel(r, present, wanted); err != nil {
		return err
	}
	if err := h.mayIsolate(r, present, wanted); err != nil {
		return err
	}
	from, to := r.PathValue("workspace"), wanted.Labels[iamv1alpha2.LabelWorkspace]
	if to == "" || to == from {
		return nil
	}
	if err := h.mayMove(r, from, to); err != nil {
		return err
	}
	if err := tenant.CheckLeave(r.Context(), h.Quotas.Client, h.Rights, caller(r), from); err != nil {
		return err
	}
	// The members of the workspace would have roles in a namespace of the platform.
	return authz.CheckName(r.Context(), h.Rights, caller(r), reserved.Namespace, namespaces, wanted.Name)
}

func (h *Handler) deleteNamespace(w http.ResponseWriter, r *http.Request) error {
	if err := h.Projects.Delete(r.Context(), r.PathValue("workspace"), r.PathValue("namespace")); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// listOfWorkspace lists objects of a type that is installed or not, such as
// DevOps projects, of the workspace of the path, in the namespaces the caller
// may see them in.
func (h *Handler) listOfWorkspace(resource string) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		kind, err := h.Types.Type(r.Context(), resource)
		if err != nil {
			return err
		}
		visible, err := h.Rights.VisibleNamespaces(r.Context(), caller(r), authz.Action{Verb: "list", Group: kind.Group, Resource: kind.Resource})
		if err != nil {
			return err
		}
		var filters []query.Filter
		if r.PathValue("workspace") != "" {
			filters = append(filters, of(r))
		}
		return h.list(w, r, kind, visible, filters...)
	}
}
