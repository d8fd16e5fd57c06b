package objects

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

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
	listed := func(snapshot *Snapshot, selector string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := snapshot.List("", parsed(t, kind, url.Values{"fieldSelector": {selector}}))
			done <- err
		}()
		return done
	}
	scanning <- struct{}{} // another one
	waits := listed(large, "data.a=y")
	select {
	case err := <-listed(few.Snapshot(), "data.a=y"):
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
	<-scanning
	if err := <-waits; err != nil {
		t.Error(err)
	}
}
