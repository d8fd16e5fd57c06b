package session

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

func TestActive(t *testing.T) {
	reads := 0
	w := newWorld(t, func(c client.WithWatch) client.Client {
		return interceptor.NewClient(c, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
			reads++
			return c.Get(ctx, key, o, options...)
		}})
	})
	fresh, _ := w.mustCreate(t, "admin")
	ended, _ := w.mustCreate(t, "admin")
	if err := w.End(t.Context(), ended.Name, "logout"); err != nil {
		t.Fatal(err)
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"sessions": {
		`{"metadata":{"name":"session-known"},"spec":{"user":"a"}}`, `{"metadata":{"name":"session-revoked"},"spec":{"revoked":true}}`,
	}})
	registry := NewRegistry(cache,
		objects.NewCatalog().Type("sessions"), w.Client)
	for _, test := range []struct {
		name, session string
		active        bool
		reads         int // of Kubernetes, for two questions
	}{
		{"in the cache", "session-known", true, 0},
		{"revoked in the cache", "session-revoked", false, 0},
		{"just created by another replica", fresh.Name, true, 1},
		{"created and ended before the cache knew", ended.Name, false, 1},
		{"gone, or never there", "session-of-nobody", false, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			reads = 0
			for range 2 {
				if active, err := registry.Active(t.Context(), test.session); err != nil || active != test.active {
					t.Errorf("active: %v, %v", active, err)
				}
			}
			if reads != test.reads {
				t.Errorf("%d reads, want %d", reads, test.reads)
			}
		})
	}
	// What is remembered is believed for a second only.
	if err := w.End(t.Context(), fresh.Name, "logout"); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the session that ended to be inactive", func() bool {
		active, err := registry.Active(t.Context(), fresh.Name)
		if err != nil {
			t.Fatal(err)
		}
		return !active
	})
}
