package objects

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestClient: a write returns when the cache has it, and not much later when
// the cache is behind.
func TestClient(t *testing.T) {
	catalog := NewCatalog()
	server := newAPIServer(t, podJSON("old", "1"))
	cache := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
	view, err := cache.View(t.Context(), catalog.Type("pods"))
	if err != nil || view.Len() != 1 {
		t.Fatalf("%d pods, %v", view.Len(), err)
	}
	written := func(o client.Object) error {
		o.SetResourceVersion("20")
		return nil
	}
	c := &Client{timeout: wait.Timeout, Cache: cache, Catalog: catalog, Client: interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Create: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.CreateOption) error {
			return written(o)
		},
		Update: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.UpdateOption) error {
			return written(o)
		},
		Patch: func(_ context.Context, _ client.WithWatch, o client.Object, _ client.Patch, _ ...client.PatchOption) error {
			return written(o)
		},
		Delete: func(_ context.Context, _ client.WithWatch, o client.Object, _ ...client.DeleteOption) error {
			if o.GetName() == "new2" { // somebody else was faster
				return apierrors.NewNotFound(corev1.Resource("pods"), o.GetName())
			}
			return nil
		},
	})}
	pod := func(name string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name}}
	}
	for _, test := range []struct {
		name       string
		write      func() error
		event, pod string
	}{
		{"create", func() error { return c.Create(t.Context(), pod("new")) }, "ADDED", podJSON("new", "20")},
		{"update", func() error { return c.Update(t.Context(), pod("old")) }, "MODIFIED", podJSON("old", "21")}, // and somebody else's change
		{"patch", func() error { return c.Patch(t.Context(), pod("new2"), client.RawPatch("", nil)) }, "ADDED", podJSON("new2", "20")},
		{"delete", func() error { return c.Delete(t.Context(), pod("new")) }, "DELETED", podJSON("new", "22")},
		// A workspace whose reconciler was faster than the handler was still listed
		// after it had been deleted.
		{"delete what is gone", func() error { return client.IgnoreNotFound(c.Delete(t.Context(), pod("new2"))) }, "DELETED", podJSON("new2", "23")},
		{"get what is gone", func() error {
			return client.IgnoreNotFound(c.Get(t.Context(), client.ObjectKey{Namespace: "n", Name: "old"}, &corev1.Pod{}))
		}, "DELETED", podJSON("old", "24")},
	} {
		t.Run(test.name, func(t *testing.T) {
			done := make(chan error)
			go func() { done <- test.write() }()
			select {
			case err := <-done:
				t.Fatalf("it does not wait: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			server.send(t, test.event, test.pod)
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(wait.Timeout / 2):
				t.Error("it waits though the cache has it")
			}
		})
	}
	t.Run("behind", func(t *testing.T) {
		c.timeout = 10 * time.Millisecond
		defer func() { c.timeout = wait.Timeout }()
		start := time.Now()
		if err := c.Create(t.Context(), pod("never")); err != nil || time.Since(start) > wait.Timeout/2 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
	t.Run("not in the cache", func(t *testing.T) {
		start := time.Now()
		if err := c.Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); err != nil || time.Since(start) > wait.Timeout/2 {
			t.Errorf("%v after %s", err, time.Since(start))
		}
	})
}
