package kubeproxy

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestReads: one user had kube-apiserver make sixty copies at once of all that the user had
// stored, for lists and for the first events of watches. Four are made at once; watches
// that have sent their first events are no longer counted, and other users wait for none.
func TestReads(t *testing.T) {
	var asked, open atomic.Int64
	goOn := make(chan struct{})
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		open.Add(1)
		defer open.Add(-1)
		_, _ = io.WriteString(w, `{"type":"ADDED"}`+"\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Get("labelSelector") == "settled" || r.Header.Get("Impersonate-User") == "joe" {
			<-r.Context().Done()
			return
		}
		for { // there are more first events
			select {
			case <-r.Context().Done():
				return
			case <-goOn:
				return
			case <-time.After(settledAfter / 4):
				_, _ = io.WriteString(w, `{"type":"ADDED"}`+"\n")
				_ = http.NewResponseController(w).Flush()
			}
		}
	})
	f.proxy.reads = turns.New(math.MaxInt, maxReadsPerUser, wait.Timeout, tooManyReads)
	f.proxy.settledAfter = 10 * settledAfter // a machine with other work may not write for a moment
	get := func(path, user string) {
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, f.URL+path, nil)
		r.Header.Set(headerUser, user)
		go func() {
			response, err := http.DefaultClient.Do(r)
			if err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
			}
		}()
	}
	are := func(what string, want int64) {
		t.Helper()
		wait.For(t, what, func() error {
			if got := asked.Load(); got != want {
				return fmt.Errorf("Kubernetes was asked %d times, want %d", got, want)
			}
			return nil
		})
	}
	const settled = 20
	for range settled {
		get("/api/v1/pods?watch=1&labelSelector=settled", "jane")
	}
	are("watches that have sent their first events", settled)
	for n := range 20 {
		get([]string{"/api/v1/pods?watch=1", "/api/v1/pods"}[n%2], "jane")
	}
	are("lists and new watches", settled+maxReadsPerUser)
	for _, path := range []string{"/api/v1/namespaces/a/pods/b", "/api/v1/namespaces/a/pods/b/log?follow=true"} {
		get(path, "jane")
	}
	get("/api/v1/pods?watch=1", "joe")
	are("other requests and users", settled+maxReadsPerUser+3)
	time.Sleep(2 * f.proxy.settledAfter)
	are("those that wait", settled+maxReadsPerUser+3)
	close(goOn)
	are("their turns", settled+20+3)
}

// TestReadTurns: a turn ends with a list, and with the first events of a watch, over a
// WebSocket as well.
func TestReadTurns(t *testing.T) {
	f := newFront(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"type":"ADDED"}`+"\n")
		_ = http.NewResponseController(w).Flush()
		if r.URL.Query().Has("watch") {
			<-r.Context().Done()
		}
	})
	f.proxy.reads = turns.New(math.MaxInt, 1, wait.Timeout, tooManyReads)
	for range 3 {
		response, err := http.Get(f.URL + "/api/v1/pods?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || line != `{"type":"ADDED"}`+"\n" {
			t.Fatal(line, err)
		}
		conn, _, err := websocket.Dial(t.Context(), strings.Replace(f.URL, "http", "ws", 1)+"/api/v1/pods?watch=1", nil) //nolint:bodyclose // there is none
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.CloseNow() })
		if _, _, err := conn.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := http.Get(f.URL + "/api/v1/pods")
		if err != nil {
			t.Fatal(err)
		}
		_ = list.Body.Close()
	}
}
