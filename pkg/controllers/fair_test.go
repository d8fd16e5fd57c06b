package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// newTestFair returns a reconciler whose keys are in namespaces that are their tenants,
// and its clock.
func newTestFair(reconciler reconcile.Func, allowed budget) (*fairReconciler, *time.Time) {
	now := time.Unix(1000, 0)
	return &fairReconciler{
		Reconciler: reconciler, budget: allowed, now: func() time.Time { return now },
		tenant: func(_ context.Context, request reconcile.Request) string { return request.Namespace },
	}, &now
}

func keyOf(tenant string, n int) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: tenant, Name: fmt.Sprint(n)}}
}

// TestFairWorker: a tenant whose reconcile takes long has one worker, and the keys of
// others go on.
func TestFairWorker(t *testing.T) {
	started, finish := make(chan bool), make(chan bool)
	f, _ := newTestFair(func(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
		if request == keyOf("slow", 0) {
			started <- true
			<-finish
		}
		return reconcile.Result{}, nil
	}, budget{1, 10})
	ended := make(chan bool)
	go func() {
		_, _ = f.Reconcile(t.Context(), keyOf("slow", 0))
		close(ended)
	}()
	<-started
	for n := range 3 {
		if result, err := f.Reconcile(t.Context(), keyOf("slow", 1)); err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > maxTurn {
			t.Errorf("a second key of the tenant, attempt %d: %+v, %v", n, result, err)
		}
		if result, err := f.Reconcile(t.Context(), keyOf("quick", n)); err != nil || result.RequeueAfter != 0 {
			t.Errorf("a key of another tenant: %+v, %v", result, err)
		}
	}
	close(finish)
	<-ended
	if result, err := f.Reconcile(t.Context(), keyOf("slow", 1)); err != nil || result.RequeueAfter != 0 {
		t.Errorf("the second key, afterwards: %+v, %v", result, err)
	}
}

// TestFairBudget: the events of a tenant are reconciled as often as its budget says, those
// of one key together, and at once those of others.
func TestFairBudget(t *testing.T) {
	runs := map[string]int{}
	f, now := newTestFair(func(_ context.Context, request reconcile.Request) (reconcile.Result, error) {
		runs[request.Namespace]++
		return reconcile.Result{}, nil
	}, budget{10, 5})
	attempt := func(key reconcile.Request) time.Duration {
		result, err := f.Reconcile(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		return result.RequeueAfter
	}
	for range 1000 { // a key that is touched again and again
		attempt(keyOf("touching", 0))
	}
	for n := range 1000 {
		attempt(keyOf("many", n))
	}
	if runs["touching"] != 5 || runs["many"] != 5 {
		t.Errorf("at once %v", runs)
	}
	if wait := attempt(keyOf("other", 0)); wait != 0 {
		t.Errorf("another tenant waits %s", wait)
	}
	// The keys have slots one after the other: none comes back all the time.
	if wait := attempt(keyOf("many", 999)); wait < 99*time.Second || wait > 100*time.Second {
		t.Errorf("the last key waits %s", wait)
	}
	*now = now.Add(time.Second)
	if wait := attempt(keyOf("touching", 0)); wait != 0 || runs["touching"] != 6 {
		t.Errorf("a second later: %s, %v", wait, runs)
	}
	for n := range 1000 {
		attempt(keyOf("many", n))
	}
	if runs["many"] < 14 || runs["many"] > 16 {
		t.Errorf("a second later %v", runs)
	}
	*now = now.Add(time.Hour)
	attempt(keyOf("other", 0))
	*now = now.Add(time.Hour)
	attempt(keyOf("last", 0))
	if len(f.tenants) != 1 {
		t.Errorf("%d tenants are kept", len(f.tenants))
	}
}

// TestByNamespace: the projects of a workspace are one tenant, whether a key names one or
// something in it.
func TestByNamespace(t *testing.T) {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "p", Labels: map[string]string{"kubesphere.io/workspace": "w"}}}
	tenant := byNamespace(fake.NewClientBuilder().WithObjects(namespace, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "w"}}).Build())
	for key, want := range map[types.NamespacedName]string{
		{Name: "p"}: "workspace/w", {Namespace: "p", Name: "x"}: "workspace/w", {Name: "w"}: "namespace/w", {Namespace: "gone", Name: "x"}: "namespace/gone",
	} {
		if got := tenant(t.Context(), reconcile.Request{NamespacedName: key}); got != want {
			t.Errorf("%s is of %q, want %q", key, got, want)
		}
	}
}
