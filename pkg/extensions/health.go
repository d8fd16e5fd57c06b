package extensions

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "github.com/super-kubenetes/ks-apiserver/api/extensions/v1alpha1"
)

const (
	// healthEvery is how often each back end is looked after.
	healthEvery = 15 * time.Second
	// healthTimeout is within what it has to answer then.
	healthTimeout = 5 * time.Second
)

// Reasons of the condition Available.
const (
	reasonAnswers  = "Answers"
	reasonSilent   = "DoesNotAnswer"
	reasonRejected = "Rejected"
)

// Health keeps the status of the objects, on the one replica that reconciles.
type Health struct {
	Registry *Registry
	// Client reads and writes the objects.
	Client client.Client
	// Every is how often back ends are looked after; 15 seconds when zero.
	Every time.Duration
}

// Start implements manager.Runnable: it looks after the back ends until the
// context ends.
func (h *Health) Start(ctx context.Context) error {
	every := h.Every
	if every == 0 {
		every = healthEvery
	}
	// What is new is looked at soon.
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var last *table
	var looked time.Time
	for {
		if now := h.Registry.table.Load(); now != last || h.Registry.now().Sub(looked) >= every {
			last, looked = now, h.Registry.now()
			if err := h.once(ctx); err != nil && ctx.Err() == nil {
				slog.WarnContext(ctx, "the status of extensions cannot be kept", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// object is an APIService or ReverseProxy.
type object struct {
	client.Object
	id     string
	status *v1alpha1.EndpointStatus
}

func (h *Health) once(ctx context.Context) error {
	t := h.Registry.table.Load()
	if t == nil {
		return nil
	}
	services, proxies := &v1alpha1.APIServiceList{}, &v1alpha1.ReverseProxyList{}
	if err := h.Client.List(ctx, services); err != nil {
		return err
	}
	if err := h.Client.List(ctx, proxies); err != nil {
		return err
	}
	var all []object
	for n := range services.Items {
		one := &services.Items[n]
		all = append(all, object{one, kindAPIService + "/" + one.Name, &one.Status})
	}
	for n := range proxies.Items {
		one := &proxies.Items[n]
		all = append(all, object{one, kindReverseProxy + "/" + one.Name, &one.Status})
	}
	for _, one := range all {
		if err := h.keep(ctx, t, one); err != nil {
			return err
		}
	}
	return nil
}

// keep writes the status of an object if it is not what it should be.
func (h *Health) keep(ctx context.Context, t *table, one object) error {
	condition := metav1.Condition{Type: v1alpha1.ConditionAvailable, ObservedGeneration: one.GetGeneration()}
	state, b := v1alpha1.StateRejected, t.byID[one.id]
	switch {
	case b != nil && b.meta.Generation == one.GetGeneration():
		state, condition.Status, condition.Reason = v1alpha1.StateAvailable, metav1.ConditionTrue, reasonAnswers
		if err := b.check(ctx); err != nil {
			state, condition.Status, condition.Reason, condition.Message = v1alpha1.StateUnavailable, metav1.ConditionFalse, reasonSilent, err.Error()
		}
	case b == nil && t.rejected[one.id] != "":
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, reasonRejected, t.rejected[one.id]
	default:
		return nil // newer than the table
	}
	before := one.DeepCopyObject().(client.Object)
	changed := meta.SetStatusCondition(&one.status.Conditions, condition)
	if !changed && one.status.State == state && one.status.ObservedGeneration == one.GetGeneration() {
		return nil
	}
	one.status.State, one.status.ObservedGeneration = state, one.GetGeneration()
	err := h.Client.Status().Patch(ctx, one.Object, client.MergeFrom(before))
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // it is looked at again
	}
	return err
}

// check asks a back end whether it is there. Any answer but that nobody can
// serve will do: what is served where is its own affair.
func (b *backend) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	address := *b.target
	if b.kind == kindAPIService {
		address = *address.JoinPath(b.path)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	q.Header.Set("User-Agent", "ks-apiserver")
	answer, err := b.transport.RoundTrip(q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be used again
	if answer.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("it answers %s", answer.Status)
	}
	return nil
}
