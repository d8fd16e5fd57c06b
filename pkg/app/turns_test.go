package app

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/route"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestInTurn: of one user, writes and reads that gather are served a few at once, since
// each may take what a tenant has stored into memory. Other reads are not held up.
func TestInTurn(t *testing.T) {
	served, end := make(chan struct{}, 10*maxGathering), make(chan struct{})
	slow := func(http.ResponseWriter, *http.Request) error {
		served <- struct{}{}
		<-end
		return nil
	}
	groups := []route.Group{
		{Prefix: "/kapis/a", Routes: []route.Route{
			{Method: http.MethodPost, Handler: slow}, {Method: http.MethodGet, Gathers: true, Handler: slow},
			{Method: http.MethodGet, Handler: slow}, {Method: http.MethodPut, Transfers: true, Handler: slow},
			{Method: http.MethodPost, Awaits: true, Handler: slow},
		}},
		{Prefix: "/oauth", Routes: []route.Route{{Method: http.MethodPost, Handler: slow}}},
	}
	inTurn(groups)
	call := func(name string, handler route.Handler) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		go func() {
			_ = handler(httptest.NewRecorder(), r.WithContext(turns.WithHolder(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: name}), name)))
		}()
	}
	arrive := func(want int, what string) {
		t.Helper()
		for n := range want {
			select {
			case <-served:
			case <-time.After(wait.Timeout):
				t.Fatalf("%s: %d of %d", what, n, want)
			}
		}
		select {
		case <-served:
			t.Errorf("%s: more than %d", what, want)
		case <-time.After(50 * time.Millisecond):
		}
	}
	for range 2 * maxGatheringPerUser {
		call("jane", groups[0].Routes[0].Handler)
		call("jane", groups[0].Routes[1].Handler)
	}
	arrive(maxGatheringPerUser, "of one user")
	call("john", groups[0].Routes[0].Handler)
	arrive(1, "of another")
	for _, others := range []route.Handler{groups[0].Routes[2].Handler, groups[0].Routes[3].Handler, groups[1].Routes[0].Handler} {
		call("jane", others)
	}
	arrive(3, "what gathers nothing")
	// Four users whose servers answered one byte a second kept everybody's writes waiting.
	for range 2 * maxAwaitingPerUser {
		call("mallory", groups[0].Routes[4].Handler)
	}
	arrive(maxAwaitingPerUser, "what waits for servers of others")
	for range maxGatheringPerUser {
		call("mallory", groups[0].Routes[0].Handler)
	}
	arrive(maxGatheringPerUser, "writes beside what waits")
	close(end)
	arrive(3*maxGatheringPerUser+maxAwaitingPerUser, "afterwards")
}

// TestTurnEndsWithTheAnswer: forty unread answers held the turns of all users.
func TestTurnEndsWithTheAnswer(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	groups := []route.Group{{Prefix: "/kapis/a", Routes: []route.Route{{Method: http.MethodGet, Gathers: true, Handler: func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = w.Write([]byte("a"))
		begun <- struct{}{}
		<-end // the client does not read
		return nil
	}}}}}
	inTurn(groups)
	for range 2 * maxGatheringPerUser {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		go func() {
			_ = groups[0].Routes[0].Handler(httptest.NewRecorder(), r.WithContext(kube.WithCaller(t.Context(), &user.DefaultInfo{Name: "jane"})))
		}()
		select {
		case <-begun:
		case <-time.After(wait.Timeout):
			t.Fatal("an answer waits for others to be read")
		}
	}
	close(end)
}
