//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// frame is an event of a watch.
type frame struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
}

func (f frame) object(t *testing.T) object {
	t.Helper()
	var o object
	if err := json.Unmarshal(f.Object, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// stream opens a watch, which ends with the test at the latest.
func stream(t *testing.T, path string, options ...option) *http.Response {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, shared.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range options {
		o(r)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = response.Body.Close()
	})
	return response
}

// frames decodes the events of a watch. The channel is closed at its end.
func frames(t *testing.T, response *http.Response) <-chan frame {
	t.Helper()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "application/json;stream=watch" {
		t.Fatalf("%s, Content-Type %s", response.Status, response.Header.Get("Content-Type"))
	}
	events := make(chan frame, 1024)
	go func() {
		defer close(events)
		decoder := json.NewDecoder(response.Body)
		for {
			var f frame
			if decoder.Decode(&f) != nil {
				return
			}
			events <- f
		}
	}()
	return events
}

// next waits for an event of an object.
func next(t *testing.T, events <-chan frame, kind watch.EventType, name string) frame {
	t.Helper()
	deadline := time.After(wait.Timeout)
	for {
		select {
		case f, open := <-events:
			if !open {
				t.Fatalf("the watch ended before %s %s", kind, name)
			}
			if f.Type == watch.Error {
				t.Fatalf("%s", f.Object)
			}
			if f.Type == kind && f.object(t).Metadata.Name == name {
				return f
			}
		case <-deadline:
			t.Fatalf("no %s of %s", kind, name)
		}
	}
}

func configMap(t *testing.T, c client.Client, name string, labels map[string]string) *corev1.ConfigMap {
	t.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", Labels: labels}, Data: map[string]string{"a": "1"}}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.IgnoreNotFound(c.Delete(context.WithoutCancel(t.Context()), m)) })
	return m
}

// A watch tells the present state and every change, as Kubernetes would, for
// those objects the filters leave.
func TestWatch(t *testing.T) {
	t.Parallel()
	admin, c := bearer(shared.login(t).AccessToken), kubernetes(t, "")
	configMap(t, c, "watched-before", map[string]string{"watched": "yes"})
	const path = viewer + "/namespaces/default/configmaps"
	all := frames(t, stream(t, path+"?watch=true&labelSelector=watched%3Dyes", admin))
	if first := next(t, all, watch.Added, "watched-before"); first.object(t).Kind != "ConfigMap" {
		t.Errorf("%s", first.Object)
	}
	m := configMap(t, c, "watched-now", map[string]string{"watched": "yes"})
	next(t, all, watch.Added, "watched-now")
	m.Data["a"] = "2"
	if err := c.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if changed := next(t, all, watch.Modified, "watched-now"); changed.object(t).Metadata.ManagedFields != nil {
		t.Error("managed fields")
	}
	m.Labels["watched"] = "no"
	if err := c.Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	next(t, all, watch.Deleted, "watched-now") // it does not match any more

	t.Run("from the version of a list", func(t *testing.T) {
		r := shared.get(t, path+"?limit=1", admin)
		version := r.header.Get("Resource-Version")
		configMap(t, c, "watched-later", nil)
		resumed := frames(t, stream(t, path+"?watch=true&resourceVersion="+version, admin))
		select {
		case f := <-resumed:
			if f.Type != watch.Added || f.object(t).Metadata.Name != "watched-later" {
				t.Errorf("the first event is %s %s", f.Type, f.Object)
			}
		case <-time.After(wait.Timeout):
			t.Error("no event")
		}
	})
	t.Run("from a version nobody knows any more", func(t *testing.T) {
		if r := shared.get(t, path+"?watch=true&resourceVersion=1", admin); r.code != http.StatusGone || !strings.Contains(string(r.body), `"reason":"Expired"`) {
			t.Errorf("%d %s", r.code, r.body)
		}
	})
	t.Run("with an end", func(t *testing.T) {
		ended := frames(t, stream(t, path+"?watch=true&timeoutSeconds=1", admin))
		deadline := time.After(wait.Timeout)
		for open := true; open; {
			select {
			case _, open = <-ended:
			case <-deadline:
				t.Fatal("it goes on")
			}
		}
	})
	t.Run("initial events and their end", func(t *testing.T) {
		initial := frames(t, stream(t, path+"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", admin))
		for f := range initial {
			if f.Type == watch.Bookmark {
				if !strings.Contains(string(f.Object), `"k8s.io/initial-events-end":"true"`) || f.object(t).Kind != "ConfigMap" {
					t.Errorf("%s", f.Object)
				}
				return
			}
		}
		t.Error("no bookmark")
	})
	t.Run("server-sent events", func(t *testing.T) {
		response := stream(t, path+"?watch=true&name=watched-before", admin, header("Accept", "text/event-stream"))
		if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
			t.Fatalf("Content-Type %s", got)
		}
		lines, event := bufio.NewScanner(response.Body), map[string]string{}
		lines.Buffer(nil, 1<<20)
		for lines.Scan() && lines.Text() != "" {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			event[key] = value
		}
		if event["event"] != "ADDED" || event["id"] == "" || !strings.Contains(event["data"], `"name":"watched-before"`) {
			t.Fatalf("%v", event)
		}
		// What a browser sends when it connects again.
		again := stream(t, path+"?watch=true", admin, header("Accept", "text/event-stream"), header("Last-Event-ID", event["id"]))
		configMap(t, c, "watched-again", nil)
		lines = bufio.NewScanner(again.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if strings.Contains(lines.Text(), `"name":"watched-before"`) {
				t.Fatal("what was told before is told again")
			}
			if strings.Contains(lines.Text(), `"name":"watched-again"`) {
				return
			}
		}
		t.Error("no event")
	})
	t.Run("as tables", func(t *testing.T) {
		tables := frames(t, stream(t, path+"?watch=true&name=watched-before", admin, header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")))
		var table metav1.Table
		if err := json.Unmarshal((<-tables).Object, &table); err != nil || len(table.Rows) != 1 || table.Rows[0].Cells[0] != "watched-before" {
			t.Errorf("%+v, %v", table, err)
		}
	})
	t.Run("for who may not", func(t *testing.T) {
		nobody := bearer(user(t, "watcher-without-rights"))
		if r := shared.get(t, path+"?watch=true", nobody); r.code != http.StatusForbidden {
			t.Errorf("%d %s", r.code, r.body)
		}
	})
}

// Every watcher sees every change, and none leaves anything behind. The
// benchmark does it with more of them.
func TestWatchersGo(t *testing.T) { // looks at the whole process, so that no test is beside it
	admin, c := bearer(shared.login(t).AccessToken), kubernetes(t, "")
	const watchers, changes = 50, 20
	const path = viewer + "/namespaces/default/configmaps?watch=true&name=counted"
	shared.get(t, viewer+"/configmaps?limit=1", admin)
	before := settled()
	t.Run("watch", func(t *testing.T) {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var connected, done sync.WaitGroup
		connected.Add(watchers)
		for range watchers {
			done.Go(func() {
				r, _ := http.NewRequestWithContext(ctx, http.MethodGet, shared.url+path, nil)
				admin(r)
				response, err := transport.RoundTrip(r)
				connected.Done()
				if err != nil {
					t.Error(err)
					return
				}
				defer func() { _ = response.Body.Close() }()
				decoder, seen := json.NewDecoder(response.Body), 0
				for seen < changes {
					var f frame
					if err := decoder.Decode(&f); err != nil {
						t.Errorf("after %d changes: %v", seen, err)
						return
					}
					if f.Type == watch.Modified {
						seen++
					}
				}
			})
		}
		connected.Wait()
		m := configMap(t, c, "counted", nil)
		for n := range changes {
			m.Data["a"] = fmt.Sprint("x", n)
			if err := c.Update(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		done.Wait()
	})
	wait.For(t, "goroutines of the watchers to go", func() error {
		if now := runtime.NumGoroutine(); now > before+10 {
			return fmt.Errorf("%d goroutines, %d before", now, before)
		}
		return nil
	})
}
