package session

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// cached returns a running cache that reads the given objects, whatever type
// it is asked for, and never learns of another.
func cached(t *testing.T, list ...string) *objects.Cache {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("watch") == "true" {
			if r.URL.Query().Get("sendInitialEvents") == "true" {
				w.WriteHeader(http.StatusUnprocessableEntity)
				_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`))
				return
			}
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(`{"metadata":{"resourceVersion":"1"},"items":[` + strings.Join(list, ",") + `]}`))
	}))
	cache, err := objects.NewCache(objects.Options{Config: &rest.Config{Host: server.URL}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
		server.CloseClientConnections()
		server.Close()
	})
	return cache
}

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
	registry := NewRegistry(cached(t, `{"metadata":{"name":"session-known"},"spec":{"user":"a"}}`, `{"metadata":{"name":"session-revoked"},"spec":{"revoked":true}}`),
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
	deadline := time.Now().Add(10 * time.Second)
	for {
		active, err := registry.Active(t.Context(), fresh.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !active {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a session that ended is active for ever")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
