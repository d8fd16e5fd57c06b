package terminal

import (
	"context"
	"maps"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// ownNamespace makes sure that the namespace of the pods is there and this
// server's: users with a role in it could read the tokens in the pods. One without
// our label, as earlier versions made it, is taken over unless it is or was a
// project or gives roles.
func (k *Kubectl) ownNamespace(ctx context.Context) error {
	namespace := &corev1.Namespace{}
	err := k.Client.Get(ctx, client.ObjectKey{Name: k.Namespace}, namespace)
	if apierrors.IsNotFound(err) {
		err = k.Client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: k.Namespace, Labels: map[string]string{
			"pod-security.kubernetes.io/enforce": "restricted", reserved.LabelManagedBy: reserved.ManagedByServer, iamv1alpha2.LabelWorkspace: tenantv1alpha2.SystemWorkspace,
		}}})
		if apierrors.IsAlreadyExists(err) {
			return status.Unavailable(1, "the namespace %s is being created", k.Namespace)
		}
		return err
	}
	if err != nil {
		return err
	}
	workspace := namespace.Labels[iamv1alpha2.LabelWorkspace]
	if workspace != "" && workspace != tenantv1alpha2.SystemWorkspace {
		return k.foreign("it belongs to workspace " + workspace)
	}
	if namespace.Labels[reserved.LabelManagedBy] == reserved.ManagedByServer {
		return nil
	}
	if workspace == "" && namespace.Labels[tenantv1alpha2.LabelNamespace] != "" || namespace.Annotations[iamv1alpha2.AnnotationCreator] != "" {
		return k.foreign("it is a project")
	}
	bindings := &rbacv1.RoleBindingList{}
	if err := k.Client.List(ctx, bindings, client.InNamespace(k.Namespace), client.Limit(1)); err != nil {
		return err
	}
	if len(bindings.Items) > 0 {
		return k.foreign("it has the role binding " + bindings.Items[0].Name)
	}
	before := namespace.DeepCopy()
	if namespace.Labels = maps.Clone(namespace.Labels); namespace.Labels == nil {
		namespace.Labels = make(map[string]string)
	}
	namespace.Labels[reserved.LabelManagedBy] = reserved.ManagedByServer
	err = k.Client.Patch(ctx, namespace, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) {
		return status.Unavailable(1, "the namespace %s changes at the moment", k.Namespace)
	}
	return err
}

func (k *Kubectl) foreign(reason string) error {
	return status.New(http.StatusConflict, metav1.StatusReasonConflict,
		"namespace %s is not this server's: %s; an administrator has to delete it, or to set the label %s=%s if no other user has a role in it", k.Namespace, reason, reserved.LabelManagedBy, reserved.ManagedByServer)
}
