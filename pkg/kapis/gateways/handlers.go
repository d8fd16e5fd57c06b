package gateways

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// List is a page of a list.
type List struct {
	Items      []route.Object `json:"items" description:"The objects of the page."`
	TotalItems int            `json:"totalItems" description:"The number of objects that match, on all pages."`
}

// plain is a value as JSON has it, for an unstructured object.
func plain(value any) (any, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var decoded any
	return decoded, json.Unmarshal(encoded, &decoded)
}

// list answers with all gateways, and with the routers there still are.
func (h *Handler) list(w http.ResponseWriter, r *http.Request) error {
	parameters, err := request.ParametersOf(r)
	if err != nil {
		return err
	}
	q, ignored, err := query.Parse(parameters, func(key string) bool { return key == "name" })
	if err != nil {
		return err
	}
	route.WarnIgnored(w, "gateways", ignored)
	found := &unstructured.UnstructuredList{}
	found.SetGroupVersionKind(kind)
	if err := h.Client.List(r.Context(), found, client.InNamespace(h.Namespace)); err != nil && !meta.IsNoMatchError(err) {
		return kube.Err(err)
	}
	all := []*unstructured.Unstructured{}
	for n := range found.Items {
		if err := h.describe(r.Context(), &found.Items[n]); err != nil {
			return kube.Err(err)
		}
		all = append(all, &found.Items[n])
	}
	routers := &corev1.ServiceList{}
	if err := h.Client.List(r.Context(), routers, client.InNamespace(h.Namespace), client.MatchingLabels(formerly)); err != nil {
		return kube.Err(err)
	}
	for n := range routers.Items {
		router, err := h.converted(r.Context(), &routers.Items[n])
		if err != nil {
			return kube.Err(err)
		}
		all = append(all, router)
	}
	for _, filter := range q.Filters {
		all = slices.DeleteFunc(all, func(u *unstructured.Unstructured) bool { return !strings.Contains(u.GetName(), filter.Value) })
	}
	slices.SortFunc(all, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
	page := List{Items: []route.Object{}, TotalItems: len(all)}
	from, to := min(q.Offset(), len(all)), len(all)
	if q.Limit != query.Unlimited {
		to = min(from+q.Limit, len(all))
	}
	for _, one := range all[from:to] {
		page.Items = append(page.Items, one.Object)
	}
	status.WriteJSON(w, http.StatusOK, page)
	return nil
}

// get answers with the gateways a namespace has: that of the cluster and its
// own, or the router it still has.
func (h *Handler) get(w http.ResponseWriter, r *http.Request) error {
	namespace := r.PathValue("namespace")
	all := []route.Object{}
	for _, of := range slices.Compact([]string{platform, namespace}) {
		gateway, err := h.find(r.Context(), of)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			var router *corev1.Service
			if router, err = h.former(r.Context(), of); err == nil {
				gateway, err = h.converted(r.Context(), router)
			}
		}
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return kube.Err(err)
		default:
			all = append(all, gateway.Object)
		}
	}
	status.WriteJSON(w, http.StatusOK, all)
	return nil
}

func (h *Handler) create(w http.ResponseWriter, r *http.Request) error {
	sent, gateway := &unstructured.Unstructured{}, &unstructured.Unstructured{Object: map[string]any{}}
	if err := route.ReadJSON(r, &sent.Object); err != nil {
		return err
	}
	if _, err := h.former(r.Context(), r.PathValue("namespace")); !apierrors.IsNotFound(err) {
		if err == nil {
			err = apierrors.NewAlreadyExists(corev1.Resource("services"), h.key(r.PathValue("namespace")).Name)
		}
		return kube.Err(err)
	}
	if err := h.replace(gateway, sent, r.PathValue("namespace")); err != nil {
		return err
	}
	if err := errors.Join(h.checkSettings(r.Context(), r.PathValue("namespace"), nil, gateway), h.ownNamespace(r.Context())); err != nil {
		return err
	}
	if err := h.Client.Create(r.Context(), gateway); err != nil {
		return missing(err)
	}
	write(w, gateway)
	return nil
}

func (h *Handler) update(w http.ResponseWriter, r *http.Request) error {
	sent, gateway := &unstructured.Unstructured{}, &unstructured.Unstructured{}
	if err := route.ReadJSON(r, &sent.Object); err != nil {
		return err
	}
	gateway.SetGroupVersionKind(kind)
	if err := h.Client.Get(r.Context(), h.key(r.PathValue("namespace")), gateway); err != nil {
		return missing(err)
	}
	if err := kube.CheckVersion(schema.GroupResource{Group: kind.Group, Resource: "gateways"}, gateway, sent); err != nil {
		return err
	}
	present := gateway.DeepCopy()
	if err := h.replace(gateway, sent, r.PathValue("namespace")); err != nil {
		return err
	}
	if err := errors.Join(h.checkSettings(r.Context(), r.PathValue("namespace"), present, gateway), h.ownNamespace(r.Context())); err != nil {
		return err
	}
	if err := h.Client.Update(r.Context(), gateway); err != nil {
		return missing(err)
	}
	write(w, gateway)
	return nil
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request) error {
	gateway := &unstructured.Unstructured{}
	gateway.SetGroupVersionKind(kind)
	key := h.key(r.PathValue("namespace"))
	gateway.SetName(key.Name)
	gateway.SetNamespace(key.Namespace)
	if err := h.Client.Delete(r.Context(), gateway); err != nil {
		return missing(err)
	}
	route.WriteSuccess(w)
	return nil
}

// upgradeWithin bounds how long it takes to replace a router.
const upgradeWithin = 20 * time.Second

// upgrade makes a gateway of a router.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) error {
	namespace := r.PathValue("namespace")
	if err := h.named(r); err != nil {
		return err
	}
	router, err := h.former(r.Context(), namespace)
	if err != nil {
		return kube.Err(err)
	}
	sent, err := h.converted(r.Context(), router)
	if err != nil {
		return kube.Err(err)
	}
	gateway := &unstructured.Unstructured{Object: map[string]any{}}
	if err := h.replace(gateway, sent, namespace); err != nil {
		return err
	}
	// The former has to go first, since the controller makes a service of its
	// name. Whether Kubernetes takes the new one is found out before.
	if err := h.Client.Create(r.Context(), gateway.DeepCopy(), client.DryRunAll); err != nil {
		return missing(err)
	}
	// And once it goes, whether the client waits or not, the new one has to come.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), upgradeWithin)
	defer cancel()
	if err := h.remove(ctx, router); err != nil {
		return kube.Err(err)
	}
	if err := h.Client.Create(ctx, gateway); err != nil {
		return missing(err)
	}
	write(w, gateway)
	return nil
}

// named refuses a gateway in a path that is not the one of the namespace in it:
// rights are held there.
func (h *Handler) named(r *http.Request) error {
	if key := h.key(r.PathValue("namespace")); r.PathValue("gateway") != key.Name {
		return status.NotFound("gateway %q is not the one of namespace %q", r.PathValue("gateway"), r.PathValue("namespace"))
	}
	return nil
}

// pods answers with the pods of a gateway: those its service leads to.
func (h *Handler) pods(w http.ResponseWriter, r *http.Request) error {
	if err := h.named(r); err != nil {
		return err
	}
	service := &corev1.Service{}
	if err := h.Client.Get(r.Context(), h.key(r.PathValue("namespace")), service); err != nil {
		return kube.Err(err)
	}
	found := &corev1.PodList{}
	if len(service.Spec.Selector) > 0 {
		if err := h.Client.List(r.Context(), found, client.InNamespace(h.Namespace), client.MatchingLabels(service.Spec.Selector)); err != nil {
			return kube.Err(err)
		}
	}
	page := List{Items: []route.Object{}, TotalItems: len(found.Items)}
	for n := range found.Items {
		pod := &found.Items[n]
		pod.ManagedFields, pod.APIVersion, pod.Kind = nil, "v1", "Pod"
		shown, err := plain(pod)
		if err != nil {
			return err
		}
		page.Items = append(page.Items, shown.(map[string]any))
	}
	status.WriteJSON(w, http.StatusOK, page)
	return nil
}
