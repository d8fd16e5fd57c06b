package gateways

import (
	"context"
	"net/http"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/ownrole"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	// namePrefix comes before the namespace a gateway is of, in its name.
	namePrefix = "kubesphere-router-"
	// platform is the namespace whose gateway is the one of the cluster.
	platform = kube.Namespace
)

var (
	kind = schema.GroupVersionKind{Group: "gateway.kubesphere.io", Version: "v1alpha1", Kind: "Gateway"}
	// formerly are the labels of the services KubeSphere 3.0 made of routers.
	formerly = map[string]string{"app": "kubesphere", "component": "ks-router", "tier": "backend"}
)

// Handler serves gateways.
type Handler struct {
	// Client acts as the user of the context.
	Client client.Client
	// Namespace is where the gateways are.
	Namespace string
	// Rights say who may set what reaches beyond a project.
	Rights Rights
}

func (h *Handler) key(namespace string) client.ObjectKey {
	return client.ObjectKey{Namespace: h.Namespace, Name: namePrefix + namespace}
}

// missing is the answer in clusters without gateways.
func missing(err error) error {
	if meta.IsNoMatchError(err) {
		return status.NotFound("this cluster has no gateways: the definition of gateways.%s is not installed", kind.Group)
	}
	return kube.Err(err)
}

// find returns the gateway of a namespace with what is known of its service.
func (h *Handler) find(ctx context.Context, namespace string) (*unstructured.Unstructured, error) {
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(kind)
	if err := h.Client.Get(ctx, h.key(namespace), found); err != nil {
		return nil, err
	}
	return found, h.describe(ctx, found)
}

// describe adds where a gateway can be reached.
func (h *Handler) describe(ctx context.Context, gateway *unstructured.Unstructured) error {
	gateway.SetManagedFields(nil)
	service := &corev1.Service{}
	err := h.Client.Get(ctx, client.ObjectKeyFromObject(gateway), service)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	return reached(gateway, service)
}

func reached(gateway *unstructured.Unstructured, service *corev1.Service) error {
	shown, _, _ := unstructured.NestedMap(gateway.Object, "status")
	if shown == nil {
		shown = map[string]any{}
	}
	for name, value := range map[string]any{"loadBalancer": service.Status.LoadBalancer, "service": service.Spec.Ports} {
		plain, err := plain(value)
		if err != nil {
			return err
		}
		shown[name] = plain
	}
	return unstructured.SetNestedMap(gateway.Object, shown, "status")
}

// former returns the service of a router KubeSphere 3.0 made.
func (h *Handler) former(ctx context.Context, namespace string) (*corev1.Service, error) {
	service := &corev1.Service{}
	if err := h.Client.Get(ctx, h.key(namespace), service); err != nil {
		return nil, err
	}
	for key, value := range formerly {
		if service.Labels[key] != value {
			return nil, apierrors.NewNotFound(corev1.Resource("services"), service.Name)
		}
	}
	return service, nil
}

// converted is a router as a gateway.
func (h *Handler) converted(ctx context.Context, service *corev1.Service) (*unstructured.Unstructured, error) {
	gateway := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": service.Name, "namespace": service.Namespace}}}
	gateway.SetGroupVersionKind(kind)
	spec := map[string]any{"service": map[string]any{"type": string(service.Spec.Type), "annotations": texts(service.Annotations)}}
	deployment := &appsv1.Deployment{}
	err := h.Client.Get(ctx, client.ObjectKeyFromObject(service), deployment)
	if client.IgnoreNotFound(err) != nil {
		return nil, err
	}
	if err == nil && deployment.Spec.Replicas != nil {
		spec["deployment"] = map[string]any{"replicas": int64(*deployment.Spec.Replicas)}
	}
	gateway.Object["spec"] = spec
	return gateway, reached(gateway, service)
}

// replace makes a gateway of what a client sent: of the namespace it is for, and
// of no other. In its spec are the fields a gateway has for its users.
func (h *Handler) replace(gateway *unstructured.Unstructured, sent *unstructured.Unstructured, namespace string) error {
	gateway.SetGroupVersionKind(kind)
	key := h.key(namespace)
	gateway.SetName(key.Name)
	gateway.SetNamespace(key.Namespace)
	gateway.SetAnnotations(sent.GetAnnotations())
	gateway.SetLabels(sent.GetLabels())
	spec := map[string]any{}
	for part, fields := range map[string][]string{"controller": {"replicas", "annotations", "config"}, "service": {"annotations", "type"}, "deployment": {"replicas", "annotations", "resources"}} {
		given, _, err := unstructured.NestedMap(sent.Object, "spec", part)
		if err != nil {
			return status.BadRequest("spec.%s must be an object", part)
		}
		kept := map[string]any{}
		for _, field := range fields {
			if value, found := given[field]; found {
				kept[field] = value
			}
		}
		if part == "controller" && namespace != platform {
			kept["scope"] = map[string]any{"enabled": true, "namespace": namespace}
		}
		spec[part] = kept
	}
	gateway.Object["spec"] = spec
	return nil
}

func texts(values map[string]string) map[string]any {
	all := make(map[string]any, len(values))
	for key, value := range values {
		all[key] = value
	}
	return all
}

// removalRules are what this server does with a router of KubeSphere 3.0.
var removalRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"delete"}},
	{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"delete"}},
}

// remove deletes what a router of KubeSphere 3.0 consists of. It is in a namespace in
// which the user has no rights.
func (h *Handler) remove(ctx context.Context, service *corev1.Service) error {
	ctx = kube.AsServer(ctx)
	if err := ownrole.Ensure(ctx, h.Client, service.Namespace, removalRules); err != nil {
		return err
	}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: service.Namespace, Name: service.Name}}
	if err := h.Client.Delete(ctx, deployment, client.PropagationPolicy(metav1.DeletePropagationBackground)); client.IgnoreNotFound(err) != nil {
		return err
	}
	return client.IgnoreNotFound(h.Client.Delete(ctx, service, client.Preconditions{UID: &service.UID}))
}

// write answers with an object.
func write(w http.ResponseWriter, object *unstructured.Unstructured) {
	object.SetManagedFields(nil)
	status.WriteJSON(w, http.StatusOK, object.Object)
}
