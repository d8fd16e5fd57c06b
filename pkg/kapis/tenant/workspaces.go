package tenant

import (
	"errors"
	"net/http"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/retry"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// listWorkspaces lists workspaces, or their templates, the caller has a role in.
func (h *Handler) listWorkspaces(resource string) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		visible, err := h.Rights.VisibleWorkspaces(r.Context(), caller(r))
		if err != nil {
			return err
		}
		return h.list(w, r, h.Types.Catalog.Type(resource), visible)
	}
}

func (h *Handler) getWorkspace(resource string) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return h.get(w, r, h.Types.Catalog.Type(resource), r.PathValue("workspace"), nil)
	}
}

func (h *Handler) createWorkspace(w http.ResponseWriter, r *http.Request) error {
	wanted := &tenantv1alpha2.WorkspaceTemplate{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if err := authz.CheckName(r.Context(), h.Rights, caller(r), reserved.Workspace, tenantv1alpha2.Resource("workspacetemplates"), wanted.Name); err != nil {
		return err
	}
	if err := h.checkReserved(r, nil, wanted); err != nil {
		return err
	}
	if err := checkNewManager(caller(r), wanted); err != nil {
		return err
	}
	if err := h.checkManager(r, wanted); err != nil {
		return err
	}
	release, err := h.Limits.Reserve(r.Context(), caller(r), tenant.WorkspacesPerUser, caller(r).GetName(), 1)
	if err != nil {
		return err
	}
	defer release()
	created, err := h.Workspaces.Create(r.Context(), wanted, caller(r).GetName())
	if err != nil {
		return h.explainTaken(r, err)
	}
	return writeTemplate(w, created)
}

// explainTaken tells an administrator of the platform whose object is in the way of a new
// workspace.
func (h *Handler) explainTaken(r *http.Request, err error) error {
	var taken *tenant.TakenError
	if !errors.As(err, &taken) {
		return err
	}
	administers, failure := authz.HoldsAll(r.Context(), h.Rights, caller(r), authz.Scope{})
	if failure != nil || !administers {
		return err
	}
	return taken.Explained()
}

func (h *Handler) updateWorkspace(w http.ResponseWriter, r *http.Request) error {
	wanted := &tenantv1alpha2.WorkspaceTemplate{}
	if err := route.ReadJSON(r, wanted); err != nil {
		return err
	}
	if name := r.PathValue("workspace"); wanted.Name != name {
		return status.BadRequest("the name of the object (%s) is not the one in the URL (%s)", wanted.Name, name)
	}
	return h.replaceWorkspace(w, r, wanted)
}

func (h *Handler) patchWorkspace(w http.ResponseWriter, r *http.Request) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error { return h.patchWorkspaceOnce(w, r) })
}

func (h *Handler) patchWorkspaceOnce(w http.ResponseWriter, r *http.Request) error {
	present, err := h.Workspaces.Get(r.Context(), r.PathValue("workspace"))
	if err != nil {
		return err
	}
	wanted := &tenantv1alpha2.WorkspaceTemplate{}
	if err := route.Patched(r, present, wanted); err != nil {
		return err
	}
	wanted.Name = present.Name
	return h.replaceWorkspace(w, r, wanted)
}

func (h *Handler) replaceWorkspace(w http.ResponseWriter, r *http.Request, wanted *tenantv1alpha2.WorkspaceTemplate) error {
	updated, err := h.Workspaces.Update(r.Context(), wanted, func(present *tenantv1alpha2.WorkspaceTemplate) error {
		return h.checkReplacement(r, present, wanted)
	})
	if err != nil {
		return err
	}
	return writeTemplate(w, updated)
}

// checkReplacement returns an error when the caller may not write a workspace over the
// present one.
func (h *Handler) checkReplacement(r *http.Request, present, wanted *tenantv1alpha2.WorkspaceTemplate) error {
	if present.Spec.Template.Spec.Manager != wanted.Spec.Template.Spec.Manager {
		if err := h.mayManage(r, present.Name); err != nil {
			return err
		}
		if err := h.checkManager(r, wanted); err != nil {
			return err
		}
	}
	return h.checkReserved(r, present, wanted)
}

// checkReserved refuses to let the caller change what reconcilers act on, in the
// template and in the workspace that is made of it. present is nil for a new one.
func (h *Handler) checkReserved(r *http.Request, present, wanted *tenantv1alpha2.WorkspaceTemplate) error {
	resource := tenantv1alpha2.Resource("workspacetemplates")
	after := wanted.DeepCopy()
	if present == nil {
		after.ObjectMeta = *reserved.Written(nil, wanted)
		reserved.Keep(resource, nil, &after.ObjectMeta, iamv1alpha2.AnnotationCreator) // it is the caller
		return authz.CheckWorkspaceTemplate(r.Context(), h.Rights, caller(r), nil, after)
	}
	after.ObjectMeta = *reserved.Written(present, wanted)
	reserved.KeepOmitted(resource, present, &after.ObjectMeta, iamv1alpha2.AnnotationCreator, tenantv1alpha2.AnnotationDeletionPropagation)
	return authz.CheckWorkspaceTemplate(r.Context(), h.Rights, caller(r), present, after)
}

func writeTemplate(w http.ResponseWriter, template *tenantv1alpha2.WorkspaceTemplate) error {
	return write(w, template, tenantv1alpha2.SchemeGroupVersion.String(), "WorkspaceTemplate")
}

func (h *Handler) deleteWorkspace(w http.ResponseWriter, r *http.Request) error {
	orphan, err := orphans(r)
	if err != nil {
		return err
	}
	if orphan {
		if err := tenant.CheckLeave(r.Context(), h.Quotas.Client, h.Rights, caller(r), r.PathValue("workspace")); err != nil {
			return err
		}
	}
	if err := h.Workspaces.Delete(r.Context(), r.PathValue("workspace"), orphan); err != nil {
		return err
	}
	route.WriteSuccess(w)
	return nil
}

// listClusters lists the clusters the caller's workspaces exist in.
func (h *Handler) listClusters(w http.ResponseWriter, r *http.Request) error {
	visible, err := h.Rights.VisibleWorkspaces(r.Context(), caller(r))
	if err != nil || visible.All {
		return h.clusters(w, r, visible, err)
	}
	view, err := h.Cache.View(r.Context(), h.Types.Catalog.Type("workspacetemplates"))
	if err != nil {
		return err
	}
	clusters := authz.Visible{Names: sets.New[string]()}
	for name := range visible.Names {
		clusters.Names.Insert(placement(view.Get("", name))...)
	}
	return h.clusters(w, r, clusters, nil)
}

// listWorkspaceClusters lists the clusters a workspace exists in.
func (h *Handler) listWorkspaceClusters(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("workspace")
	visible, err := h.Rights.VisibleWorkspaces(r.Context(), caller(r))
	if err != nil {
		return err
	}
	if !visible.Has(name) {
		return status.Forbidden(tenantv1alpha2.Resource("workspaces"), name, "user %q has no role in it", caller(r).GetName())
	}
	view, err := h.Cache.View(r.Context(), h.Types.Catalog.Type("workspacetemplates"))
	if err != nil {
		return err
	}
	clusters := authz.Visible{Names: sets.New[string]()}
	clusters.Names.Insert(placement(view.Get("", name))...)
	return h.clusters(w, r, clusters, nil)
}

func (h *Handler) clusters(w http.ResponseWriter, r *http.Request, visible authz.Visible, err error) error {
	if err != nil {
		return err
	}
	return h.list(w, r, h.Types.Catalog.Type("clusters"), visible)
}

// placement are the clusters a workspace exists in: the one we run in, and
// those its template names.
func placement(template *objects.Item) []string {
	if template == nil {
		return nil
	}
	names := []string{authz.ThisCluster}
	for _, name := range template.Field("spec.placement.clusters.#.name").Array() {
		names = append(names, name.String())
	}
	return names
}

// inWorkspace reports whether an object belongs to the workspace of the path.
func inWorkspace(r *http.Request) func(*objects.Item) bool {
	return func(item *objects.Item) bool {
		return item.Labels().Get(iamv1alpha2.LabelWorkspace) == r.PathValue("workspace")
	}
}
