package server

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// TestInspectedBodies: bodies of requests to Kubernetes that are read whole count
// against the memory of their user, as those of the operations here. Others are streamed.
func TestInspectedBodies(t *testing.T) {
	const size = 60 << 10
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newServer(t, func(o *Options) {
		o.Config.MaxBodyBytes, o.Config.MaxRequestsInFlight = 64<<10, 20
		o.Kubernetes = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Wait") != "" {
				entered <- struct{}{}
				<-leave
			}
			body, err := io.ReadAll(r.Body)
			if _, streamed := r.Body.(streamedBody); err != nil || streamed {
				w.Header().Set("Streamed", "true")
			}
			_, _ = io.WriteString(w, strings.ToUpper(string(body[:1])))
		})
		o.ReadsBody = func(_ *http.Request, info *request.Info) bool { return info.Resource == "roles" }
	}, nil)
	send := func(user, resource string, size int, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/apis/rbac.authorization.k8s.io/v1/namespaces/n/"+resource, strings.NewReader(strings.Repeat("x", size)))
		r.Header.Set("Authorization", user)
		for _, name := range header {
			r.Header.Set(name, "true")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	var running sync.WaitGroup
	for range bodiesPerUser {
		running.Go(func() { send("mallory", "roles", size, "Wait") })
		<-entered
	}
	for _, test := range []struct {
		name, user, resource string
		size, code           int
		streamed             string
	}{
		{"one too many", "mallory", "roles", size, 429, ""},
		{"another user", "jane", "roles", size, 200, ""},
		{"one too many of another resource", "mallory", "others", size, 429, ""},
		{"another resource of another user", "jane", "others", size, 200, ""},
		{"one that is too large", "jane", "roles", 65 << 10, 413, ""},
		{"one that lasts by its name only", "mallory", "roles/r/log", size, 429, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := send(test.user, test.resource, test.size)
			if w.Code != test.code || w.Header().Get("Streamed") != test.streamed {
				t.Errorf("%d %s %q", w.Code, w.Body, w.Header())
			}
		})
	}
	close(leave)
	running.Wait()
	if held := s.handler.(*filters).admission.bodies.memory.Held(); held != 0 {
		t.Errorf("%d bytes are held afterwards", held)
	}
}
