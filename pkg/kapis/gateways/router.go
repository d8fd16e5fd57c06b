package gateways

import (
	"net/http"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Router is how a gateway was asked for before there were any.
type Router struct {
	Type        string            `json:"type" description:"Type of the service: NodePort, LoadBalancer or ClusterIP."`
	Annotations map[string]string `json:"annotations" description:"Annotations of the service."`
}

// router answers with the service of the router or gateway of a namespace.
func (h *Handler) router(w http.ResponseWriter, r *http.Request) error {
	service := &corev1.Service{}
	if err := h.Client.Get(r.Context(), h.key(r.PathValue("namespace")), service); err != nil {
		return kube.Err(err)
	}
	writeService(w, service)
	return nil
}

func writeService(w http.ResponseWriter, service *corev1.Service) {
	service.ManagedFields, service.APIVersion, service.Kind = nil, "v1", "Service"
	status.WriteJSON(w, http.StatusOK, service)
}

// asked reads a request for a router.
func asked(r *http.Request) (Router, error) {
	var wanted Router
	if err := route.ReadJSON(r, &wanted); err != nil {
		return wanted, err
	}
	switch corev1.ServiceType(wanted.Type) {
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeClusterIP:
		return wanted, nil
	}
	return wanted, status.BadRequest("type must be NodePort, LoadBalancer or ClusterIP, not %q", wanted.Type)
}

func (wanted Router) set(gateway *unstructured.Unstructured) error {
	return unstructured.SetNestedMap(gateway.Object, map[string]any{"type": wanted.Type, "annotations": texts(wanted.Annotations)}, "spec", "service")
}

// service is what a controller will make of a router that is new or changed.
func (h *Handler) service(wanted Router, namespace string) *corev1.Service {
	key := h.key(namespace)
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, Annotations: wanted.Annotations}, Spec: corev1.ServiceSpec{Type: corev1.ServiceType(wanted.Type)}}
}

// createRouter makes a gateway.
func (h *Handler) createRouter(w http.ResponseWriter, r *http.Request) error {
	wanted, err := asked(r)
	if err != nil {
		return err
	}
	namespace := r.PathValue("namespace")
	sent, gateway := &unstructured.Unstructured{Object: map[string]any{}}, &unstructured.Unstructured{Object: map[string]any{}}
	if err := wanted.set(sent); err != nil {
		return err
	}
	if err := h.replace(gateway, sent, namespace); err != nil {
		return err
	}
	if err := h.ownNamespace(r.Context()); err != nil {
		return err
	}
	if err := h.Client.Create(r.Context(), gateway); err != nil {
		return missing(err)
	}
	writeService(w, h.service(wanted, namespace))
	return nil
}

// updateRouter changes the gateway of a namespace, or the service of its router.
func (h *Handler) updateRouter(w http.ResponseWriter, r *http.Request) error {
	wanted, err := asked(r)
	if err != nil {
		return err
	}
	namespace := r.PathValue("namespace")
	gateway := &unstructured.Unstructured{}
	gateway.SetGroupVersionKind(kind)
	err = h.Client.Get(r.Context(), h.key(namespace), gateway)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		router, err := h.former(r.Context(), namespace)
		if err != nil {
			return kube.Err(err)
		}
		router.Spec.Type, router.Annotations = corev1.ServiceType(wanted.Type), wanted.Annotations
		if err := h.Client.Update(r.Context(), router); err != nil {
			return kube.Err(err)
		}
		writeService(w, router)
		return nil
	}
	if err != nil {
		return kube.Err(err)
	}
	if err := wanted.set(gateway); err != nil {
		return err
	}
	if err := h.Client.Update(r.Context(), gateway); err != nil {
		return kube.Err(err)
	}
	writeService(w, h.service(wanted, namespace))
	return nil
}

// deleteRouter deletes the gateway of a namespace, or its router, and answers
// with the service there was.
func (h *Handler) deleteRouter(w http.ResponseWriter, r *http.Request) error {
	namespace := r.PathValue("namespace")
	service := &corev1.Service{}
	if err := h.Client.Get(r.Context(), h.key(namespace), service); client.IgnoreNotFound(err) != nil {
		return kube.Err(err)
	}
	gateway, err := h.find(r.Context(), namespace)
	switch {
	case err == nil:
		err = h.Client.Delete(r.Context(), gateway)
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		var router *corev1.Service
		if router, err = h.former(r.Context(), namespace); err == nil {
			err = h.remove(r.Context(), router)
		}
	}
	if err != nil {
		return kube.Err(err)
	}
	writeService(w, service)
	return nil
}
