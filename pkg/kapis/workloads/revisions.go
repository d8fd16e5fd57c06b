package workloads

import (
	"context"
	"net/http"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// annotationRevision is where Kubernetes numbers the replica sets of a deployment.
const annotationRevision = "deployment.kubernetes.io/revision"

// workload is a type whose revisions are shown.
type workload struct {
	resource, parameter string
	object              func() client.Object
	selector            func(client.Object) *metav1.LabelSelector
}

// revised are the types with revisions.
func revised() []workload {
	return []workload{
		{"deployments", "deployment", func() client.Object { return &appsv1.Deployment{} }, func(o client.Object) *metav1.LabelSelector { return o.(*appsv1.Deployment).Spec.Selector }},
		{"daemonsets", "daemonset", func() client.Object { return &appsv1.DaemonSet{} }, func(o client.Object) *metav1.LabelSelector { return o.(*appsv1.DaemonSet).Spec.Selector }},
		{"statefulsets", "statefulset", func() client.Object { return &appsv1.StatefulSet{} }, func(o client.Object) *metav1.LabelSelector { return o.(*appsv1.StatefulSet).Spec.Selector }},
	}
}

func (h *Handler) revisionRoutes() []route.Route {
	var routes []route.Route
	for _, kind := range revised() {
		revision := any(appsv1.ControllerRevision{})
		if kind.resource == "deployments" {
			revision = appsv1.ReplicaSet{}
		}
		id := "get" + map[string]string{"deployments": "Deployment", "daemonsets": "DaemonSet", "statefulsets": "StatefulSet"}[kind.resource] + "Revision"
		routes = append(routes, route.Route{
			Method: http.MethodGet, Path: "/namespaces/{namespace}/" + kind.resource + "/{" + kind.parameter + "}/revisions/{revision}", ID: id,
			Summary:     "Get a revision of one of the " + kind.resource,
			Description: "That of a deployment is a ReplicaSet, those of others are ControllerRevisions.",
			Parameters: []route.Parameter{
				inPath("namespace", "Name of the namespace."), inPath(kind.parameter, "Name of the workload."),
				{In: route.InPath, Name: "revision", Type: "integer", Required: true, Description: "Number of the revision, from 1."},
			},
			Responses: []route.Response{{Code: http.StatusOK, Description: "The revision.", Model: revision}},
			Gathers:   true,
			Handler:   h.revision(kind),
		})
	}
	return routes
}

func (h *Handler) revision(kind workload) route.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		number, err := strconv.ParseInt(r.PathValue("revision"), 10, 64)
		if err != nil || number < 1 {
			return status.BadRequest("revision must be a number from 1, not %q", r.PathValue("revision"))
		}
		owner := kind.object()
		key := client.ObjectKey{Namespace: r.PathValue("namespace"), Name: r.PathValue(kind.parameter)}
		if err := h.Client.Get(r.Context(), key, owner); err != nil {
			return kube.Err(err)
		}
		selector, err := metav1.LabelSelectorAsSelector(kind.selector(owner))
		if err != nil {
			return err
		}
		found, err := h.find(r.Context(), owner, selector, number)
		if err != nil {
			return kube.Err(err)
		}
		if found == nil {
			return apierrors.NewNotFound(appsv1.Resource(kind.resource+"/revisions"), key.Name+"/"+r.PathValue("revision"))
		}
		status.WriteJSON(w, http.StatusOK, found)
		return nil
	}
}

// find returns the revision of an object with a number, nil if there is none.
func (h *Handler) find(ctx context.Context, owner client.Object, selector labels.Selector, number int64) (client.Object, error) {
	options := []client.ListOption{client.InNamespace(owner.GetNamespace()), client.MatchingLabelsSelector{Selector: selector}}
	if _, isDeployment := owner.(*appsv1.Deployment); isDeployment {
		sets := &appsv1.ReplicaSetList{}
		if err := h.Client.List(ctx, sets, options...); err != nil {
			return nil, err
		}
		for n := range sets.Items {
			set := &sets.Items[n]
			if metav1.IsControlledBy(set, owner) && set.Annotations[annotationRevision] == strconv.FormatInt(number, 10) {
				set.APIVersion, set.Kind, set.ManagedFields = "apps/v1", "ReplicaSet", nil
				return set, nil
			}
		}
		return nil, nil
	}
	revisions := &appsv1.ControllerRevisionList{}
	if err := h.Client.List(ctx, revisions, options...); err != nil {
		return nil, err
	}
	for n := range revisions.Items {
		revision := &revisions.Items[n]
		if metav1.IsControlledBy(revision, owner) && revision.Revision == number {
			revision.APIVersion, revision.Kind, revision.ManagedFields = "apps/v1", "ControllerRevision", nil
			return revision, nil
		}
	}
	return nil, nil
}
