package controllers

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// workers is the number of keys a controller reconciles at the same time. A tenant has one
// of them at most.
const workers = 4

// budget is how often the keys of a tenant are reconciled: a burst at once, and so many
// per second then.
type budget struct {
	perSecond rate.Limit
	burst     int
}

var (
	// keyBudget is for tenants with one key, such as a user.
	keyBudget = budget{perSecond: 5, burst: 20}
	// sharedBudget is for tenants with many keys, such as the projects of a workspace.
	sharedBudget = budget{perSecond: 100, burst: 200}
)

// tenantFunc returns the tenant a key belongs to: keys of one tenant share a worker and a
// budget.
type tenantFunc func(ctx context.Context, request reconcile.Request) string

// byName is the tenant of controllers whose keys name one.
func byName(_ context.Context, request reconcile.Request) string { return request.Name }

// byNamespace returns the workspace of the namespace a key is in or names, or the
// namespace itself when it has none.
func byNamespace(reader client.Reader) tenantFunc {
	return func(ctx context.Context, request reconcile.Request) string {
		name := request.Namespace
		if name == "" {
			name = request.Name
		}
		namespace := &corev1.Namespace{}
		if err := reader.Get(ctx, client.ObjectKey{Name: name}, namespace); err == nil && namespace.Labels[iamv1alpha2.LabelWorkspace] != "" {
			return "workspace/" + namespace.Labels[iamv1alpha2.LabelWorkspace]
		}
		return "namespace/" + name
	}
}

// completeFair completes a controller whose reconciler runs for several keys at a time,
// those of different tenants.
func completeFair(b *builder.Builder, reconciler reconcile.Reconciler, tenant tenantFunc, allowed budget) error {
	return b.WithOptions(controller.Options{MaxConcurrentReconciles: workers}).Complete(&fairReconciler{
		Reconciler: reconciler, tenant: tenant, budget: allowed, now: time.Now,
	})
}

// fairReconciler keeps the keys of one tenant from occupying all workers of a controller,
// and from being reconciled more often than its budget says. A key that has to wait goes
// back to the queue.
type fairReconciler struct {
	reconcile.Reconciler
	tenant tenantFunc
	budget budget
	now    func() time.Time

	mu      sync.Mutex
	tenants map[string]*tenantState
	swept   time.Time
}

// tenantState is what a tenant uses of a controller.
type tenantState struct {
	limiter *rate.Limiter
	busy    bool
	// slots are the times from which waiting keys may be reconciled.
	slots map[reconcile.Request]time.Time
}

const (
	// sweepInterval is how often states are looked through for those that are not needed.
	sweepInterval = time.Minute
	// turnInterval is how long a key waits for each other one of its tenant that waits.
	turnInterval = time.Millisecond
	// minTurn and maxTurn bound how long a key waits for the worker of its tenant.
	minTurn, maxTurn = 5 * time.Millisecond, time.Second
)

// Reconcile implements reconcile.Reconciler.
func (f *fairReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	tenant := f.tenant(ctx, request)
	if wait := f.acquire(tenant, request); wait > 0 {
		return reconcile.Result{RequeueAfter: wait}, nil
	}
	defer f.release(tenant)
	return f.Reconciler.Reconcile(ctx, request)
}

// acquire takes the worker of a tenant for a key, or returns how long the key has to wait.
func (f *fairReconciler) acquire(tenant string, request reconcile.Request) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	f.sweep(now)
	state := f.tenants[tenant]
	if state == nil {
		state = &tenantState{limiter: rate.NewLimiter(f.budget.perSecond, f.budget.burst), slots: make(map[reconcile.Request]time.Time)}
		f.tenants[tenant] = state
	}
	slot, waiting := state.slots[request]
	if !waiting {
		slot = now.Add(state.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	switch {
	case slot.After(now):
		state.slots[request] = slot
		return slot.Sub(now)
	case state.busy:
		state.slots[request] = slot
		return min(max(minTurn, time.Duration(len(state.slots))*turnInterval), maxTurn)
	}
	delete(state.slots, request)
	state.busy = true
	return 0
}

func (f *fairReconciler) release(tenant string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tenants[tenant].busy = false
}

// sweep drops the slots of keys that did not come back, such as those that belong to
// another tenant by now, and the states of tenants that use nothing.
func (f *fairReconciler) sweep(now time.Time) {
	if f.tenants == nil {
		f.tenants = make(map[string]*tenantState)
	}
	if now.Sub(f.swept) < sweepInterval {
		return
	}
	f.swept = now
	for tenant, state := range f.tenants {
		for request, slot := range state.slots {
			if now.Sub(slot) > sweepInterval {
				delete(state.slots, request)
			}
		}
		if !state.busy && len(state.slots) == 0 && state.limiter.TokensAt(now) >= float64(f.budget.burst) {
			delete(f.tenants, tenant)
		}
	}
}
