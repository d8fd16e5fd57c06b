package tenant

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	quotav1alpha2 "github.com/super-kubenetes/ks-apiserver/api/quota/v1alpha2"
)

// TestDistributeTerminating: a project that was deleted did not count any more, while a
// finalizer kept its volumes.
func TestDistributeTerminating(t *testing.T) {
	deleted := &metav1.Time{Time: metav1.Now().Rfc3339Copy().Time}
	for _, test := range []struct {
		name                    string
		protected, terminating  bool
		partDeleted, partKept   bool // by Kubernetes, and with the finalizer
		used, counted           string
		left                    string // for the other project of the workspace
		wantPart, wantFinalizer bool
	}{
		{"a project", false, false, false, false, "8", "8", "2", true, false},
		{"a project of a protected quota", true, false, false, false, "8", "8", "2", true, true},
		{"a project whose quota is protected no more", false, false, false, true, "8", "8", "2", true, false},
		{"one being deleted", false, true, false, false, "8", "8", "2", true, false},
		{"one of a protected quota", true, true, false, true, "8", "8", "2", true, true},
		{"one whose part Kubernetes deletes", true, true, true, true, "8", "8", "2", true, true},
		{"one in which nothing is left", true, true, true, true, "0", "8", "10", false, false},
		{"one Kubernetes has not counted", true, true, true, true, "0", "", "10", true, true},
		{"one whose quota is protected no more", false, true, true, true, "8", "8", "2", false, false},
		{"a part that an administrator deletes", true, false, true, true, "8", "8", "2", false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			quota := quotaOf(0)
			quota.Spec.Quota.Hard = amounts("requests.storage", "10", "count/resourcequotas", "100")
			if test.protected {
				quota.Labels[quotav1alpha2.LabelProtected] = ""
			}
			project := &corev1.Namespace{ObjectMeta: meta("", "p", "w")}
			part := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "p", Name: partName("wq"), Labels: map[string]string{LabelQuota: "wq"}}}
			part.Spec.Hard = quota.Spec.Quota.Hard
			if test.counted != "" {
				part.Status.Hard = amounts("requests.storage", test.counted, "count/resourcequotas", "100")
			}
			part.Status.Used = amounts("requests.storage", test.used, "count/resourcequotas", "1")
			if test.terminating {
				project.DeletionTimestamp, project.Finalizers = deleted, []string{"kubernetes"}
			}
			if test.partKept {
				part.Finalizers = []string{quotav1alpha2.FinalizerPart}
			}
			if test.partDeleted {
				part.DeletionTimestamp = deleted
			}
			other := &corev1.Namespace{ObjectMeta: meta("", "other", "w")}
			// Kubernetes accepts no new objects there, which must hold up no other project.
			gone := &corev1.Namespace{ObjectMeta: meta("", "gone", "w")}
			gone.DeletionTimestamp, gone.Finalizers = deleted, []string{"kubernetes"}
			c := cluster(t, quota, project, part, other, gone)
			if err := (&Quotas{Client: c}).Distribute(t.Context(), quota); err != nil {
				t.Fatal(err)
			}
			share := &corev1.ResourceQuota{}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "other", Name: partName("wq")}, share); err != nil {
				t.Fatal(err)
			}
			if left := share.Spec.Hard["requests.storage"]; left.String() != test.left {
				t.Errorf("left are %s, want %s", left.String(), test.left)
			}
			used := quota.Status.Total.Used["requests.storage"]
			if used.String() != test.used {
				t.Errorf("the status says %s", used.String())
			}
			err := c.Get(t.Context(), client.ObjectKeyFromObject(part), part)
			if (err == nil) != test.wantPart || err == nil && slices.Contains(part.Finalizers, quotav1alpha2.FinalizerPart) != test.wantFinalizer {
				t.Errorf("the part has the finalizers %v, %v", part.Finalizers, err)
			}
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: "gone", Name: partName("wq")}, part); !apierrors.IsNotFound(err) {
				t.Errorf("a part in a project that is being deleted: %v", err)
			}
			// The quota goes, and no part is left that nobody lets go.
			if err := (&Quotas{Client: c}).Clear(t.Context(), "wq"); err != nil {
				t.Fatal(err)
			}
			parts := &corev1.ResourceQuotaList{}
			if err := c.List(t.Context(), parts); err != nil || len(parts.Items) > 0 {
				t.Errorf("left are %d parts, %v", len(parts.Items), err)
			}
		})
	}
}

// TestClearConflict: Kubernetes wrote what is in use while a protected quota was deleted,
// which was a conflict for its administrator.
func TestClearConflict(t *testing.T) {
	part := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{
		Namespace: "p", Name: partName("wq"), Labels: map[string]string{LabelQuota: "wq"}, Finalizers: []string{quotav1alpha2.FinalizerPart},
	}}
	counted := false
	c := interceptor.NewClient(cluster(t, part), interceptor.Funcs{
		Update: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.UpdateOption) error {
			if !counted {
				counted = true
				present := &corev1.ResourceQuota{}
				if err := c.Get(ctx, client.ObjectKeyFromObject(o), present); err != nil {
					return err
				}
				present.Status.Used = amounts("pods", "1")
				if err := c.Update(ctx, present); err != nil {
					return err
				}
			}
			return c.Update(ctx, o, options...)
		},
	})
	if err := (&Quotas{Client: c}).Clear(t.Context(), "wq"); err != nil || !counted {
		t.Error(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(part), part); !apierrors.IsNotFound(err) {
		t.Errorf("the part: %v", err)
	}
}
