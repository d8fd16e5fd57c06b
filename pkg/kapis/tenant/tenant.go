package tenant

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	networkv1alpha1 "github.com/super-kubenetes/ks-apiserver/api/network/v1alpha1"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/isolation"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Handler serves workspaces and projects.
type Handler struct {
	Cache      *objects.Cache
	Types      *objects.Resolver
	Directory  *iam.Directory
	Bindings   *iam.Bindings
	Workspaces *tenant.Workspaces
	Projects   *tenant.Projects
	Quotas     *tenant.Quotas
	Rights     Rights
	// Limits bounds how many objects callers create; nil for no bound.
	Limits *tenant.Limits
	// Prices are the prices of the use of resources.
	Prices config.Metering
}

// Rights decides what callers may do and see. *authz.RBAC does.
type Rights interface {
	authz.NameChecker
	authz.AdministratorChecker
	Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error)
	VisibleNamespaces(ctx context.Context, who user.Info, actions ...authz.Action) (authz.Visible, error)
	VisibleWorkspaces(ctx context.Context, who user.Info) (authz.Visible, error)
}

func caller(r *http.Request) user.Info {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return &user.DefaultInfo{Name: user.Anonymous}
	}
	return who
}

// list answers with the objects of a type that are visible to the caller.
func (h *Handler) list(w http.ResponseWriter, r *http.Request, kind *objects.Type, visible authz.Visible, filters ...query.Filter) error {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	q, ignored, err := query.Parse(parameters, kind.Filters)
	if err != nil {
		return err
	}
	route.WarnIgnored(w, kind.Resource, ignored)
	for _, filter := range filters {
		q.Filters = append(slices.Clone(q.Filters), filter)
		q.Raw += "\x00" + filter.Key + "\x00" + filter.Value
	}
	selection := objects.Selection{Query: &q, Only: visible.Only()}
	page, err := h.Cache.ListPage(r.Context(), h.Types.Catalog, kind, selection)
	if err != nil {
		return err
	}
	return route.WriteList(w, r, page.Texts(&q), q.Pretty)
}

// get answers with an object by name, if it belongs to the workspace.
func (h *Handler) get(w http.ResponseWriter, r *http.Request, kind *objects.Type, name string, belongs func(*objects.Item) bool) error {
	view, err := h.Cache.View(r.Context(), kind)
	if err != nil {
		return err
	}
	item := view.Get("", name)
	if item == nil || belongs != nil && !belongs(item) {
		return apierrors.NewNotFound(kind.GroupResource(), name)
	}
	shown, err := query.ParseObject(r)
	if err != nil {
		return err
	}
	return route.WriteObject(w, shown.Projection.Of(item.Shown(false)), shown.Pretty)
}

// write answers with an object as it was written.
func write(w http.ResponseWriter, object client.Object, apiVersion, kind string) error {
	object.SetManagedFields(nil)
	encoded, err := json.Marshal(object)
	if err != nil {
		return err
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return err
	}
	fields["apiVersion"], fields["kind"] = apiVersion, kind
	status.WriteJSON(w, http.StatusOK, fields)
	return nil
}

// orphans reports whether a deletion lets the namespaces go: by its options in
// the body or in the query, as Kubernetes takes them.
func orphans(r *http.Request) (bool, error) {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return false, err
	}
	options := metav1.DeleteOptions{}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false, err
	}
	if len(body) > 0 {
		if err := route.Decode("the body, DeleteOptions,", body, &options); err != nil {
			return false, err
		}
	}
	propagation := metav1.DeletionPropagation(parameters.PropagationPolicy)
	if propagation == "" && options.PropagationPolicy != nil {
		propagation = *options.PropagationPolicy
	}
	switch propagation {
	case "", metav1.DeletePropagationBackground, metav1.DeletePropagationForeground:
		return false, nil
	case metav1.DeletePropagationOrphan:
		return true, nil
	}
	return false, status.BadRequest("propagationPolicy must be Orphan, Background or Foreground, not %q", propagation)
}

// mayManage refuses to change the manager of a workspace unless the caller has a
// manager's rights there.
func (h *Handler) mayManage(r *http.Request, workspace string) error {
	role := workspace + "-admin"
	rules, err := h.Bindings.Rules(r.Context(), iam.Place{Workspace: workspace}, role)
	if err != nil {
		return err
	}
	missing, err := h.Rights.Covers(r.Context(), caller(r), authz.Scope{Workspace: workspace}, rules)
	if err != nil || len(missing) == 0 {
		return err
	}
	return status.Forbidden(tenantv1alpha2.Resource("workspacetemplates"), workspace, "user %q does not have the rights of a manager, and nobody gives what they do not have", caller(r).GetName())
}

// checkManager returns an error when the caller may not give the role of the manager of a
// workspace to the manager that a template names.
func (h *Handler) checkManager(r *http.Request, wanted *tenantv1alpha2.WorkspaceTemplate) error {
	manager := authz.UserSubjects(wanted.Spec.Template.Spec.Manager)
	return authz.CheckSubjects(r.Context(), h.Rights, caller(r), iamv1alpha2.Resource("workspacerolebindings"), wanted.Name+"-admin", manager)
}

// mayMove refuses to let the caller move a namespace to a workspace in which
// he may not create one, or out of one in which he may not delete one.
func (h *Handler) mayMove(r *http.Request, from, to string) error {
	for _, step := range []struct{ verb, workspace string }{{"create", to}, {"delete", from}} {
		decision, _, err := h.Rights.Authorize(r.Context(), &authz.Attributes{
			Scope: authz.Scope{Workspace: step.workspace},
			AttributesRecord: authorizer.AttributesRecord{
				User: caller(r), Verb: step.verb, APIGroup: tenantv1alpha2.GroupName, Resource: "namespaces", ResourceRequest: true,
			},
		})
		if err != nil {
			return err
		}
		if decision != authorizer.DecisionAllow {
			return status.Forbidden(tenantv1alpha2.Resource("namespaces"), "", "user %q cannot %s namespaces in the workspace %q", caller(r).GetName(), step.verb, step.workspace)
		}
	}
	return nil
}

// mayLabel refuses to let the caller change fields that reconcilers and Kubernetes
// act on, such as the rights of pods on their node (CVE-2026-41052).
// The workspace is checked by mayMove; what the server keeps by itself is not
// the client's to change. present is nil for a new namespace.
func (h *Handler) mayLabel(r *http.Request, present, wanted *corev1.Namespace) error {
	var before metav1.Object
	if present != nil {
		before = present
	}
	if err := authz.CheckMetadata(r.Context(), h.Rights, caller(r), schema.GroupResource{Resource: "namespaces"}, before, wanted); err != nil {
		return err
	}
	after := &metav1.ObjectMeta{Name: wanted.Name, Labels: maps.Clone(wanted.Labels), Annotations: maps.Clone(wanted.Annotations)}
	kept := []string{iamv1alpha2.LabelWorkspace, tenantv1alpha2.LabelNamespace}
	if present == nil {
		for _, key := range kept {
			delete(after.Labels, key)
		}
		delete(after.Annotations, iamv1alpha2.AnnotationCreator)
		return authz.CheckFields(r.Context(), h.Rights, caller(r), namespaces, nil, after)
	}
	after.Finalizers, after.OwnerReferences = present.Finalizers, present.OwnerReferences
	for _, key := range kept {
		after.Labels = withValue(after.Labels, key, present.Labels)
	}
	if after.Annotations[iamv1alpha2.AnnotationCreator] == "" {
		after.Annotations = withValue(after.Annotations, iamv1alpha2.AnnotationCreator, present.Annotations)
	}
	return authz.CheckFields(r.Context(), h.Rights, caller(r), namespaces, present, after)
}

// namespaces are those of Kubernetes.
var namespaces = schema.GroupResource{Resource: "namespaces"}

// withValue sets a key to its value in another map, or removes it.
func withValue(values map[string]string, key string, from map[string]string) map[string]string {
	value, has := from[key]
	if !has {
		delete(values, key)
		return values
	}
	if values == nil {
		values = make(map[string]string)
	}
	values[key] = value
	return values
}

// mayIsolate refuses to turn the network isolation of a namespace on or off unless
// the caller may write its exceptions.
func (h *Handler) mayIsolate(r *http.Request, before, after *corev1.Namespace) error {
	const annotation = networkv1alpha1.AnnotationNetworkIsolation
	if before.Annotations[annotation] == after.Annotations[annotation] {
		return nil
	}
	return isolation.CheckIsolate(r.Context(), h.Rights, caller(r), after.Name, namespaces, after.Name)
}

// handler lets errors of an unreachable Kubernetes be 503.
func handler(h route.Handler) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return kube.Err(h(w, r)) }
}

// of is the filter by the workspace of the path.
func of(r *http.Request) query.Filter {
	return query.Filter{Key: query.Label, Value: iamv1alpha2.LabelWorkspace + "=" + r.PathValue("workspace")}
}
