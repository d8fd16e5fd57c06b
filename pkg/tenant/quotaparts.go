package tenant

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/quantity"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// keepPart keeps the part of a quota in a namespace. That of a protected quota has a
// finalizer, so that it counts and limits what is left in a namespace that is being deleted:
// Kubernetes deletes the part before all else is gone.
func (q *Quotas) keepPart(ctx context.Context, quota *quotav1alpha2.ResourceQuota, found *corev1.ResourceQuota, namespace string, hard corev1.ResourceList, terminating bool) error {
	_, protected := quota.Labels[quotav1alpha2.LabelProtected]
	spec := corev1.ResourceQuotaSpec{Hard: hard, Scopes: quota.Spec.Quota.Scopes, ScopeSelector: quota.Spec.Quota.ScopeSelector}
	if found == nil {
		return q.createPart(ctx, quota.Name, namespace, spec, protected)
	}
	if found.DeletionTimestamp != nil && (!protected || !terminating || usesNothing(found)) {
		return q.removePart(ctx, found)
	}
	finalizers := found.Finalizers
	if found.DeletionTimestamp == nil { // Kubernetes takes no further finalizers then
		finalizers = partFinalizers(finalizers, protected)
	}
	if slices.Equal(finalizers, found.Finalizers) && quantity.AreBounded(found.Spec.Hard) && equality.Semantic.DeepEqual(found.Spec, spec) {
		return nil
	}
	updated := found.DeepCopy()
	updated.Spec, updated.Finalizers = spec, finalizers
	return client.IgnoreNotFound(q.Client.Update(ctx, updated))
}

func (q *Quotas) createPart(ctx context.Context, quota, namespace string, spec corev1.ResourceQuotaSpec, protected bool) error {
	part := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: partName(quota), Finalizers: partFinalizers(nil, protected),
			Labels: map[string]string{LabelQuota: quota, reserved.LabelManagedBy: reserved.ManagedByServer},
		},
		Spec: spec,
	}
	err := q.Client.Create(ctx, part.DeepCopy())
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	taken := &corev1.ResourceQuota{}
	if err := q.Client.Get(ctx, client.ObjectKeyFromObject(part), taken); err != nil || taken.Labels[LabelQuota] == quota {
		return client.IgnoreNotFound(err)
	}
	// The name belongs to a quota of the namespace, which stays as it is.
	part.Name, part.GenerateName = "", partName(quota)+"-"
	return q.Client.Create(ctx, part)
}

// removePart deletes a part, and lets one go that is being deleted. Kubernetes writes what is
// in use at any time, so that a conflict is not the end.
func (q *Quotas) removePart(ctx context.Context, part *corev1.ResourceQuota) error {
	present := part.DeepCopy()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if !slices.Contains(present.Finalizers, quotav1alpha2.FinalizerPart) {
			return nil
		}
		released := present.DeepCopy()
		released.Finalizers = partFinalizers(present.Finalizers, false)
		err := q.Client.Update(ctx, released)
		if apierrors.IsConflict(err) {
			if failed := q.Client.Get(ctx, client.ObjectKeyFromObject(part), present); failed != nil {
				return failed
			}
		}
		return err
	})
	if err != nil || present.DeletionTimestamp != nil {
		return client.IgnoreNotFound(err)
	}
	return client.IgnoreNotFound(q.Client.Delete(ctx, present))
}

// partFinalizers are the finalizers of a part with or without that of this server.
func partFinalizers(present []string, wanted bool) []string {
	has := slices.Contains(present, quotav1alpha2.FinalizerPart)
	switch {
	case wanted && !has:
		return append(slices.Clone(present), quotav1alpha2.FinalizerPart)
	case !wanted && has:
		return slices.DeleteFunc(slices.Clone(present), func(name string) bool { return name == quotav1alpha2.FinalizerPart })
	}
	return present
}

// usesNothing reports whether Kubernetes has counted a part and found nothing in use. The
// parts themselves, which it counts as well, do not keep themselves.
func usesNothing(part *corev1.ResourceQuota) bool {
	for name := range part.Spec.Hard {
		if name == corev1.ResourceQuotas || name == "count/resourcequotas" {
			continue
		}
		used := part.Status.Used[name]
		if _, counted := part.Status.Hard[name]; !counted || used.Sign() > 0 {
			return false
		}
	}
	return true
}

// partName is the name of the part of a quota in a namespace.
func partName(quota string) string { return "workspace-" + quota }

func (q *Quotas) parts(ctx context.Context, name string) ([]corev1.ResourceQuota, error) {
	parts := &corev1.ResourceQuotaList{}
	err := q.Client.List(ctx, parts, client.MatchingLabels{LabelQuota: name})
	return parts.Items, err
}
