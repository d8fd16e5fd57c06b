package controllers

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/mirror"
)

// TestRefusedMirrors: what quotas of tenants refuse was tried again every ten seconds, however
// much it was; it is left out longer each time, and tried again a few at a time.
func TestRefusedMirrors(t *testing.T) {
	scheme, err := kube.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	writes, refuses := 0, true
	c := interceptor.NewClient(fake.NewClientBuilder().WithScheme(scheme).Build(), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			mu.Lock()
			defer mu.Unlock()
			writes++
			if refuses {
				return apierrors.NewForbidden(rbacv1.Resource("rolebindings"), object.GetName(), fmt.Errorf("exceeded quota"))
			}
			return c.Create(ctx, object, options...)
		},
	})
	now := time.Unix(0, 0)
	m := &Mirrors{Client: c, Now: func() time.Time { return now }}
	m.prepare(0)
	const bindings = 3 * retriedPerSecond
	round := func() int {
		t.Helper()
		mu.Lock()
		writes = 0
		mu.Unlock()
		changes := mirror.Changes{CreateBindings: make(map[types.NamespacedName]mirror.Binding)}
		for n := range bindings {
			if key := (types.NamespacedName{Namespace: fmt.Sprint("n-", n), Name: "kubesphere:a"}); !m.known.Refused(key) || m.known.Retry(key) {
				changes.CreateBindings[key] = mirror.Binding{Role: "r", Group: "g"}
			}
		}
		if _, err := m.apply(t.Context(), &changes); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		return writes
	}
	for _, step := range []struct {
		name  string
		after time.Duration
		want  int
	}{
		{"at first", 0, bindings},
		{"a moment later", time.Second, 0},
		{"after the pause", refusedPause, retriedPerSecond},
		{"the others", time.Second, retriedPerSecond},
		{"the last ones", time.Second, retriedPerSecond},
		{"all wait twice as long", refusedPause, 0},
		{"after twice the pause", refusedPause, retriedPerSecond},
	} {
		now = now.Add(step.after)
		if got := round(); got != step.want {
			t.Errorf("%s: %d writes", step.name, got)
		}
	}
	refuses = false
	for range 10 {
		now = now.Add(maxRefusedPause)
		round()
	}
	made := &rbacv1.RoleBindingList{}
	if err := c.List(t.Context(), made); err != nil || len(made.Items) != bindings || len(m.refused) != 0 {
		t.Errorf("%d are made, %d refused, %v", len(made.Items), len(m.refused), err)
	}
	if made.Items[0].RoleRef.Name != "r" || made.Items[0].Subjects[0].Kind != rbacv1.GroupKind || metav1.GetControllerOf(&made.Items[0]) != nil {
		t.Errorf("made %+v", made.Items[0])
	}
}
