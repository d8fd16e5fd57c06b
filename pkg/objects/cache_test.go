package objects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/super-kubenetes/ks-apiserver/pkg/query"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// pods is one value, as in a server: a cache takes another one for another type.
var pods = NewCatalog().Type("pods")

// apiserver is as much of kube-apiserver as a reflector needs: one list of pods and
// watches that send what a test tells them. Other types do not exist.
type apiserver struct {
	*httptest.Server
	mu      sync.Mutex
	list    []string
	hold    chan struct{} // when not nil, lists wait for it
	lists   int
	ended   int // watches whose client went away
	gone    bool
	watches []chan string
}

func newAPIServer(t *testing.T, list ...string) *apiserver {
	s := &apiserver{list: list}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *apiserver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	gone := s.gone
	s.mu.Unlock()
	switch {
	case gone, r.URL.Path != "/api/v1/pods":
		refuse(w, http.StatusNotFound, "NotFound")
	case r.URL.Query().Get("sendInitialEvents") == "true": // as a Kubernetes without WatchList
		refuse(w, http.StatusUnprocessableEntity, "Invalid")
	case r.URL.Query().Get("watch") == "true":
		s.watch(w, r)
	default:
		s.mu.Lock()
		s.lists++
		hold := s.hold
		body := `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"10"},"items":[` + strings.Join(s.list, ",") + `]}`
		s.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
		_, _ = w.Write([]byte(body))
	}
}

func (s *apiserver) watch(w http.ResponseWriter, r *http.Request) {
	events := make(chan string, 16)
	s.mu.Lock()
	s.watches = append(s.watches, events)
	s.mu.Unlock()
	_ = http.NewResponseController(w).Flush()
	for {
		select {
		case <-r.Context().Done():
			s.mu.Lock()
			s.ended++
			s.mu.Unlock()
			return
		case event := <-events:
			_, _ = w.Write([]byte(event + "\n"))
			_ = http.NewResponseController(w).Flush()
		}
	}
}

func refuse(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code})
}

// send gives an event to the newest watch, for which it waits.
func (s *apiserver) send(t *testing.T, kind, object string) {
	t.Helper()
	eventually(t, "there is no watch", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.watches) == 0 {
			return false
		}
		s.watches[len(s.watches)-1] <- `{"type":"` + kind + `","object":` + object + `}`
		return true
	})
}

func podJSON(name, version string) string {
	return fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"n","uid":%q,"resourceVersion":%q},"status":{"phase":"Running"}}`, name, name, version)
}

// eventually waits until a condition holds; problem is what is wrong as long as it
// does not.
func eventually(t *testing.T, problem string, holds func() bool) {
	t.Helper()
	wait.Until(t, "no longer: "+problem, holds)
}

// runCache returns a running cache that stops with the test.
func runCache(t *testing.T, options Options) *Cache {
	t.Helper()
	c, err := NewCache(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
	})
	return c
}

func podNames(t *testing.T, c *Cache) []string {
	t.Helper()
	view, err := c.View(t.Context(), pods)
	if err != nil {
		t.Fatal(err)
	}
	page, err := view.List(t.Context(), "", &query.Query{Page: 1, Limit: query.Unlimited, SortBy: "name", Ascending: true})
	if err != nil {
		t.Fatal(err)
	}
	var result []string
	for _, item := range page.Items {
		result = append(result, item.Name()+"@"+item.ResourceVersion())
	}
	return result
}

func TestCacheFollows(t *testing.T) {
	server := newAPIServer(t, podJSON("a", "1"), podJSON("b", "2"))
	c := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
	if got := podNames(t, c); !slices.Equal(got, []string{"a@1", "b@2"}) {
		t.Fatalf("after the list: %v", got)
	}
	server.send(t, "ADDED", podJSON("c", "11"))
	server.send(t, "MODIFIED", podJSON("a", "12"))
	server.send(t, "DELETED", podJSON("b", "13"))
	server.send(t, "BOOKMARK", `{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"14"}}`)
	want := []string{"a@12", "c@11"}
	eventually(t, "the events did not arrive", func() bool { return slices.Equal(podNames(t, c), want) })

	// A watch that is too old is answered with a new list, and nothing is stale.
	server.mu.Lock()
	server.list = []string{podJSON("d", "20")}
	server.mu.Unlock()
	server.send(t, "ERROR", `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`)
	eventually(t, "there was no new list", func() bool { return slices.Equal(podNames(t, c), []string{"d@20"}) })
	if view, err := c.View(t.Context(), pods); err != nil || view.Stale != "" {
		t.Errorf("stale %q, %v", view.Stale, err)
	}
}

func TestCacheFirstRead(t *testing.T) {
	t.Run("waits for the list", func(t *testing.T) {
		server := newAPIServer(t, podJSON("a", "1"))
		server.hold = make(chan struct{})
		c := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
		time.AfterFunc(100*time.Millisecond, func() { close(server.hold) })
		var readers sync.WaitGroup
		for range 8 {
			readers.Go(func() {
				if got := podNames(t, c); !slices.Equal(got, []string{"a@1"}) {
					t.Errorf("got %v", got)
				}
			})
		}
		readers.Wait()
		if server.lists != 1 {
			t.Errorf("%d lists for one type", server.lists)
		}
	})
	t.Run("503 after SyncTimeout", func(t *testing.T) {
		server := newAPIServer(t)
		server.hold = make(chan struct{})
		c := runCache(t, Options{Config: &rest.Config{Host: server.URL}, SyncTimeout: 80 * time.Millisecond})
		started := time.Now()
		_, err := c.View(t.Context(), pods)
		if !apierrors.IsServiceUnavailable(err) || time.Since(started) > wait.Timeout/2 {
			t.Errorf("%v after %s", err, time.Since(started))
		}
		if seconds, asked := apierrors.SuggestsClientDelay(err); !asked || seconds == 0 {
			t.Errorf("no Retry-After: %v", err)
		}
		if err := c.Synced(pods); err == nil {
			t.Error("it says it was read")
		}
	})
	t.Run("503 while nothing answers", func(t *testing.T) {
		server := newAPIServer(t)
		server.Close()
		c := runCache(t, Options{Config: &rest.Config{Host: server.URL}, SyncTimeout: 50 * time.Millisecond})
		if _, err := c.View(t.Context(), pods); !apierrors.IsServiceUnavailable(err) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("404 for a type that is not installed, at once", func(t *testing.T) {
		server := newAPIServer(t)
		c := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
		started := time.Now()
		missing := NewCatalog().Type("globalroles")
		for range 2 {
			if _, err := c.View(t.Context(), missing); !apierrors.IsNotFound(err) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(started); took > wait.Timeout/2 {
			t.Errorf("it took %s", took)
		}
	})
	t.Run("ends with its caller", func(t *testing.T) {
		server := newAPIServer(t)
		server.hold = make(chan struct{})
		c := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := c.View(ctx, pods); err != context.DeadlineExceeded { //nolint:errorlint // as it is
			t.Errorf("got %v", err)
		}
	})
	t.Run("options are checked", func(t *testing.T) {
		if _, err := NewCache(Options{}); err == nil {
			t.Error("a cache without Config")
		}
	})
}

func TestCacheStale(t *testing.T) {
	server := newAPIServer(t, podJSON("a", "1"))
	c := runCache(t, Options{Config: &rest.Config{Host: server.URL}})
	if got := podNames(t, c); len(got) != 1 {
		t.Fatal(got)
	}
	server.CloseClientConnections()
	server.Listener.Close()
	eventually(t, "the view never says that it may be old", func() bool {
		view, err := c.View(t.Context(), pods)
		if err != nil || view.Len() != 1 {
			t.Fatalf("the list is lost: %v", err)
		}
		return view.Stale != ""
	})
}

// TestCacheIdle: a type nobody asks for is dropped, one that is pinned stays,
// and one that is asked for again is read again.
func TestCacheIdle(t *testing.T) {
	for _, pinned := range []bool{false, true} {
		t.Run(fmt.Sprintf("pinned %v", pinned), func(t *testing.T) {
			server := newAPIServer(t, podJSON("a", "1"))
			c := runCache(t, Options{Config: &rest.Config{Host: server.URL}, IdleTimeout: 200 * time.Millisecond})
			if pinned {
				c.Pin(pods)
			}
			if got := podNames(t, c); len(got) != 1 {
				t.Fatal(got)
			}
			if pinned {
				time.Sleep(500 * time.Millisecond)
				if err := c.Synced(pods); err != nil {
					t.Error(err)
				}
				return
			}
			eventually(t, "the type is still kept", func() bool { return c.Synced(pods) != nil })
			// The reflector may have been between its list and its watch.
			eventually(t, "its watch goes on", func() bool {
				server.mu.Lock()
				defer server.mu.Unlock()
				return server.ended == len(server.watches)
			})
			if got := podNames(t, c); len(got) != 1 || server.lists != 2 {
				t.Errorf("%v after %d lists", got, server.lists)
			}
		})
	}
}

// TestTypeGoes: a type whose definition is deleted is given up, with its
// memory, whether anybody asks for it or not, and whoever watches it learns.
func TestTypeGoes(t *testing.T) {
	apiserver := newAPIServer(t, podJSON("a", "1"))
	c := runCache(t, Options{Config: &rest.Config{Host: apiserver.URL}})
	watching, err := c.Watch(t.Context(), pods, parse(t, "watch=true"))
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Close()
	apiserver.mu.Lock()
	apiserver.gone = true
	apiserver.mu.Unlock()
	apiserver.CloseClientConnections()
	eventually(t, "the type is kept", func() bool {
		c.mu.RLock()
		defer c.mu.RUnlock()
		return len(c.feeds) == 0
	})
	for {
		if _, _, err := watching.Next(t.Context(), func(*Item) bool { return true }); err != nil {
			if !errors.Is(err, ErrEnded) {
				t.Error(err)
			}
			break
		}
	}
	apiserver.mu.Lock()
	apiserver.gone = false
	apiserver.mu.Unlock()
	if got := podNames(t, c); !slices.Equal(got, []string{"a@1"}) {
		t.Errorf("after it came back: %v", got)
	}
}
