package objectstest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

const (
	notFound      = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
	noInitialList = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`
)

// NewCache returns a cache over a cluster with the given objects, in JSON, by
// the plural name of their type, and a channel of watch events for each type.
// It ends with the test.
func NewCache(t testing.TB, lists map[string][]string) (*objects.Cache, map[string]chan string) {
	t.Helper()
	events := map[string]chan string{}
	for resource := range lists {
		events[resource] = make(chan string)
	}
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resource := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		list, found := lists[resource]
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !found:
			w.WriteHeader(http.StatusNotFound)
			_, _ = w.Write([]byte(notFound))
		case r.URL.Query().Get("sendInitialEvents") == "true":
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = w.Write([]byte(noInitialList))
		case r.URL.Query().Get("watch") == "true":
			for {
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
					return
				case event := <-events[resource]:
					_, _ = w.Write([]byte(event + "\n"))
				}
			}
		default:
			_, _ = w.Write([]byte(`{"metadata":{"resourceVersion":"1"},"items":[` + strings.Join(list, ",") + `]}`))
		}
	}))
	cache, err := objects.NewCache(objects.Options{Config: &rest.Config{Host: cluster.URL}, SyncTimeout: wait.Timeout})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		cache.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
		cluster.CloseClientConnections()
		cluster.Close()
	})
	return cache, events
}
