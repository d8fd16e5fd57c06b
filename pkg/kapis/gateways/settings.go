package gateways

import (
	"context"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// Rights decides which rights a caller holds. *authz.RBAC does.
type Rights = authz.NameChecker

// checkSettings refuses settings of the gateway of a project that reach beyond it or cost
// what its quota does not count, and reserved labels and annotations. What a gateway has
// already may stay.
func (h *Handler) checkSettings(ctx context.Context, project string, present, wanted *unstructured.Unstructured) error {
	who, found := kuberequest.UserFrom(ctx)
	if !found {
		who = &user.DefaultInfo{Name: user.Anonymous}
	}
	var before metav1.Object
	if present != nil {
		before = present
	}
	if err := authz.CheckFields(ctx, h.Rights, who, tenant.Gateways, before, wanted); err != nil {
		return err
	}
	return tenant.CheckGateway(ctx, h.Rights, who, project, present, wanted)
}

// ownNamespace refuses to keep gateways in a namespace that is a project: its
// members would rule over the gateways of all others.
func (h *Handler) ownNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	if err := h.Client.Get(ctx, client.ObjectKey{Name: h.Namespace}, namespace); err != nil {
		return client.IgnoreNotFound(err)
	}
	if workspace := namespace.Labels[iamv1alpha2.LabelWorkspace]; workspace != "" && workspace != tenantv1alpha2.SystemWorkspace {
		return status.New(http.StatusConflict, metav1.StatusReasonConflict, "namespace %s, where gateways are, belongs to workspace %s", h.Namespace, workspace)
	}
	return nil
}
