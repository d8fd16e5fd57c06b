package tenant

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
	tenantv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/tenant/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/quantity"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// LabelQuota names the quota of a workspace that a quota of a namespace is a
// part of.
const LabelQuota = quotav1alpha2.LabelQuota

// Quotas limits what the namespaces of a workspace use together. Kubernetes
// counts and enforces: each namespace has a ResourceQuota with what the others
// leave of the limit.
type Quotas struct {
	Client client.Client
}

// QuotaWorkspace is the workspace whose namespaces a quota limits: its selector is
// that workspace's label and nothing else, and its own label, if it has one, says the
// same. It is "" for other selectors, with which the quota of one workspace would limit
// another, or all namespaces.
func QuotaWorkspace(quota *quotav1alpha2.ResourceQuota) string {
	workspace := quota.Spec.LabelSelector[iamv1alpha2.LabelWorkspace]
	if label, labelled := quota.Labels[iamv1alpha2.LabelWorkspace]; len(quota.Spec.LabelSelector) != 1 || labelled && label != workspace {
		return ""
	}
	return workspace
}

// Get returns a quota of a workspace, or a not-found error.
func (q *Quotas) Get(ctx context.Context, workspace, name string) (*quotav1alpha2.ResourceQuota, error) {
	found := &quotav1alpha2.ResourceQuota{}
	if err := q.Client.Get(ctx, client.ObjectKey{Name: name}, found); err != nil {
		return nil, err
	}
	if QuotaWorkspace(found) != workspace {
		return nil, apierrors.NewNotFound(quotav1alpha2.Resource("resourcequotas"), name)
	}
	return found, nil
}

// CheckQuotaName returns a forbidden error when a quota of a workspace would have the name of
// another workspace that exists: quotas are called as their workspaces, all of which share the
// names of quotas.
func CheckQuotaName(ctx context.Context, reader client.Reader, workspace, name string) error {
	if name == "" || name == workspace {
		return nil
	}
	err := reader.Get(ctx, client.ObjectKey{Name: name}, &tenantv1alpha2.WorkspaceTemplate{})
	if err == nil {
		return status.Forbidden(quotav1alpha2.Resource("resourcequotas"), name, "the name is that of a workspace, whose quota alone may have it; choose another name")
	}
	return client.IgnoreNotFound(err)
}

// Create creates a quota of a workspace.
func (q *Quotas) Create(ctx context.Context, workspace string, wanted *quotav1alpha2.ResourceQuota) (*quotav1alpha2.ResourceQuota, error) {
	if err := q.Client.Get(ctx, client.ObjectKey{Name: workspace}, &tenantv1alpha2.WorkspaceTemplate{}); err != nil {
		return nil, err
	}
	if err := CheckQuotaName(ctx, q.Client, workspace, wanted.Name); err != nil {
		return nil, err
	}
	if err := validateQuota(nil, wanted); err != nil {
		return nil, err
	}
	created := &quotav1alpha2.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: wanted.Name, Labels: merged(wanted.Labels, of(workspace)), Annotations: wanted.Annotations},
		Spec:       quotav1alpha2.ResourceQuotaSpec{LabelSelector: of(workspace), Quota: wanted.Spec.Quota},
	}
	if err := q.Client.Create(ctx, created); err != nil {
		return nil, err
	}
	return created, q.settle(ctx, created)
}

// Update replaces the limits of a quota of a workspace, unless check returns an error
// about its states before and after: see Workspaces.Update. A lock that wanted leaves out
// stays.
func (q *Quotas) Update(ctx context.Context, workspace string, wanted *quotav1alpha2.ResourceQuota, check func(before, after *quotav1alpha2.ResourceQuota) error) (updated *quotav1alpha2.ResourceQuota, err error) {
	err = kube.RetryReplace(wanted, func() error {
		updated, err = q.replace(ctx, workspace, wanted, check)
		return err
	})
	if err != nil {
		return nil, err
	}
	return updated, q.settle(ctx, updated)
}

func (q *Quotas) replace(ctx context.Context, workspace string, wanted *quotav1alpha2.ResourceQuota, check func(before, after *quotav1alpha2.ResourceQuota) error) (*quotav1alpha2.ResourceQuota, error) {
	resource := quotav1alpha2.Resource("resourcequotas")
	present, err := q.Get(ctx, workspace, wanted.Name)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckVersion(resource, present, wanted); err != nil {
		return nil, err
	}
	updated := present.DeepCopy()
	if err := validateQuota(updated, wanted); err != nil {
		return nil, err
	}
	updated.Labels, updated.Annotations = merged(wanted.Labels, of(workspace)), maps.Clone(wanted.Annotations)
	reserved.KeepOmitted(resource, present, &updated.ObjectMeta, quotav1alpha2.LabelProtected)
	updated.Spec = quotav1alpha2.ResourceQuotaSpec{LabelSelector: of(workspace), Quota: wanted.Spec.Quota}
	if err := check(present, updated); err != nil {
		return nil, err
	}
	return updated, q.Client.Update(ctx, updated)
}

// Delete deletes a quota of a workspace, and its parts in the namespaces, unless check
// returns an error about it.
func (q *Quotas) Delete(ctx context.Context, workspace, name string, check func(*quotav1alpha2.ResourceQuota) error) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		found, err := q.Get(ctx, workspace, name)
		if err != nil {
			return err
		}
		if err := check(found); err != nil {
			return err
		}
		// What was checked is what is deleted.
		return client.IgnoreNotFound(q.Client.Delete(ctx, found, client.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}))
	})
	if err != nil {
		return err
	}
	return q.Clear(ctx, name)
}

// Clear deletes the parts of a quota that is not there any more.
func (q *Quotas) Clear(ctx context.Context, name string) error {
	parts, err := q.parts(ctx, name)
	if err != nil {
		return err
	}
	var problems []error
	for n := range parts {
		problems = append(problems, q.removePart(ctx, &parts[n]))
	}
	return errors.Join(problems...)
}

// settle is Distribute after a write of the quota; see Workspaces.settle.
func (q *Quotas) settle(ctx context.Context, quota *quotav1alpha2.ResourceQuota) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		if err := q.Distribute(ctx, quota); !apierrors.IsConflict(err) {
			return err
		}
		if err := q.Client.Get(ctx, client.ObjectKeyFromObject(quota), quota); err != nil {
			return err
		}
		return q.Distribute(ctx, quota)
	})
}

// Distribute gives each namespace of a workspace what the others leave of a
// quota, and writes down what all of them use. It has to be called again when
// that changes.
func (q *Quotas) Distribute(ctx context.Context, quota *quotav1alpha2.ResourceQuota) error {
	if err := CheckAmounts("spec.quota.hard", quota.Spec.Quota.Hard); err != nil {
		slog.WarnContext(ctx, "A quota is not distributed", "quota", quota.Name, "error", err)
		return nil
	}
	namespaces := &corev1.NamespaceList{}
	// A quota of no workspace is distributed among no namespaces, which takes back
	// what was distributed of it before.
	if workspace := QuotaWorkspace(quota); workspace != "" {
		if err := q.Client.List(ctx, namespaces, client.MatchingLabels(of(workspace))); err != nil {
			return err
		}
	}
	parts, err := q.parts(ctx, quota.Name)
	if err != nil {
		return err
	}
	byNamespace := make(map[string]*corev1.ResourceQuota, len(parts))
	used := make(map[string]corev1.ResourceList, len(parts))
	var problems []error
	for n := range parts {
		part := &parts[n]
		other := byNamespace[part.Namespace]
		if other == nil {
			byNamespace[part.Namespace] = part
			continue
		}
		// One part counts in a namespace, whichever others have the label.
		if part.Name == partName(quota.Name) {
			byNamespace[part.Namespace], part = part, other
		}
		problems = append(problems, q.removePart(ctx, part))
	}
	var names []string
	terminating := make(map[string]bool)
	for n := range namespaces.Items {
		namespace := &namespaces.Items[n]
		part := byNamespace[namespace.Name]
		// What is in a namespace that is being deleted is used until it is gone: finalizers
		// keep volumes there for as long as tenants like. None gets a part any more.
		terminating[namespace.Name] = namespace.DeletionTimestamp != nil
		if part == nil && terminating[namespace.Name] {
			continue
		}
		names = append(names, namespace.Name)
		if part != nil {
			part.Status.Used, part.Status.Hard = quantity.CappedList(part.Status.Used), quantity.CappedList(part.Status.Hard)
			used[namespace.Name] = part.Status.Used
		}
	}
	slices.Sort(names)
	total := Total(quota.Spec.Quota.Hard, used)
	for _, name := range names {
		share := Share(quota.Spec.Quota.Hard, total, used[name])
		problems = append(problems, q.keepPart(ctx, quota, byNamespace[name], name, share, terminating[name]))
	}
	for name, part := range byNamespace {
		if !slices.Contains(names, name) {
			problems = append(problems, q.removePart(ctx, part))
		}
	}
	return errors.Join(append(problems, q.writeStatus(ctx, quota, names, byNamespace, total))...)
}

// Share is what the others leave a namespace of a limit, of the total that all namespaces
// use and what the namespace itself uses. The latter does not count against itself, so
// that its own use and the rest is the limit.
func Share(hard, total, own corev1.ResourceList) corev1.ResourceList {
	share := make(corev1.ResourceList, len(hard))
	for name, limit := range hard {
		left := limit.DeepCopy()
		left.Sub(total[name])
		left.Add(own[name])
		if left.Sign() < 0 {
			left = *resource.NewQuantity(0, limit.Format)
		}
		share[name] = left
	}
	return share
}

// maxStatusBytes bounds the uses of single namespaces in the status of a quota: an object
// has to stay below 1.5 MiB.
const maxStatusBytes = 768 << 10

// writeStatus writes down what all namespaces use together, and what each uses unless that
// is too much for one object: it is in the parts as well.
func (q *Quotas) writeStatus(ctx context.Context, quota *quotav1alpha2.ResourceQuota, names []string, parts map[string]*corev1.ResourceQuota, total corev1.ResourceList) error {
	next := quotav1alpha2.ResourceQuotaStatus{Total: corev1.ResourceQuotaStatus{Hard: quota.Spec.Quota.Hard, Used: total}}
	size := 0
	for _, name := range names {
		if part := parts[name]; part != nil {
			next.Namespaces = append(next.Namespaces, quotav1alpha2.ResourceQuotaStatusByNamespace{Namespace: name, ResourceQuotaStatus: part.Status})
			size += len(name) + listSize(part.Status.Hard) + listSize(part.Status.Used)
		}
	}
	if size > maxStatusBytes {
		slog.WarnContext(ctx, "Left the uses of single namespaces out of the status of a quota, which would be too large", "quota", quota.Name, "namespaces", len(next.Namespaces), "bytes", size)
		next.Namespaces = nil
	}
	if isBounded(&quota.Status) && equality.Semantic.DeepEqual(quota.Status, next) {
		return nil
	}
	quota.Status = next
	return client.IgnoreNotFound(q.Client.Status().Update(ctx, quota))
}

// isBounded reports whether a status can be compared.
func isBounded(s *quotav1alpha2.ResourceQuotaStatus) bool {
	for n := range s.Namespaces {
		if !quantity.AreBounded(s.Namespaces[n].Hard) || !quantity.AreBounded(s.Namespaces[n].Used) {
			return false
		}
	}
	return quantity.AreBounded(s.Total.Hard) && quantity.AreBounded(s.Total.Used)
}

// Total is what all namespaces use of what is limited.
func Total(hard corev1.ResourceList, used map[string]corev1.ResourceList) corev1.ResourceList {
	total := make(corev1.ResourceList, len(hard))
	for name, limit := range hard {
		sum := resource.NewQuantity(0, limit.Format)
		for _, namespace := range slices.Sorted(maps.Keys(used)) {
			if amount, found := used[namespace][name]; found {
				sum.Add(amount)
			}
		}
		total[name] = *sum
	}
	return total
}

func of(workspace string) map[string]string {
	return map[string]string{iamv1alpha2.LabelWorkspace: workspace}
}

// listSize is about how many bytes a list has as JSON.
func listSize(list corev1.ResourceList) int {
	size := 0
	for name, quantity := range list {
		size += len(name) + len(quantity.String()) + len(`"":"",`)
	}
	return size
}
