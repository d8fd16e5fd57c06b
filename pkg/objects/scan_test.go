package objects

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestScansTakeTurns: sixty requests that looked for sixteen fields in 55 MB kept both
// processors from everybody else.
func TestScansTakeTurns(t *testing.T) {
	kind := NewCatalog().Type("configmaps")
	store := newStore(kind)
	for n := range 20 {
		store.put(mustItem(t, kind, fmt.Sprintf(`{"metadata":{"namespace":"n","name":"a-%d"},"data":{"a":%q}}`, n, strings.Repeat("x", 1<<20))))
	}
	large := store.Snapshot()
	few := newStore(kind)
	few.put(mustItem(t, kind, `{"metadata":{"namespace":"n","name":"a"},"data":{"a":"x"}}`))
	as := func(ctx context.Context, name string) context.Context {
		return kuberequest.WithUser(ctx, &user.DefaultInfo{Name: name})
	}
	listed := func(ctx context.Context, snapshot *Snapshot, selector string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := snapshot.List(ctx, "", parsed(t, kind, url.Values{"fieldSelector": {selector}}))
			done <- err
		}()
		return done
	}
	release, err := scanning.Take(t.Context(), "user jane")
	if err != nil {
		t.Fatal(err)
	}
	var others []chan error
	for n := range 20 {
		others = append(others, listed(as(t.Context(), "jane"), large, fmt.Sprintf("data.a=%d", n)))
	}
	going, goes := context.WithCancel(as(t.Context(), "joe"))
	gone := listed(going, large, "data.a=gone")
	waits := listed(as(t.Context(), "john"), large, "data.a=y")
	select {
	case err := <-listed(t.Context(), few.Snapshot(), "data.a=y"):
		if err != nil {
			t.Error(err)
		}
	case <-time.After(wait.Timeout):
		t.Error("a few objects wait for a large scan")
	}
	select {
	case err := <-waits:
		t.Errorf("a large scan does not wait for another: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	goes()
	if err := <-gone; !apierrors.IsTooManyRequests(err) {
		t.Errorf("a client that goes waits on: %v", err)
	}
	release()
	if err := <-waits; err != nil {
		t.Error(err)
	}
	for _, other := range others {
		if err := <-other; err != nil {
			t.Error(err)
		}
	}
}
