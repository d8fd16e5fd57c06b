package wait

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// recorder is a test that only remembers how it failed.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// failureOf runs a wait as a test would and returns what it failed with.
func failureOf(wait func(t testing.TB)) string {
	r, done := &recorder{}, make(chan struct{})
	go func() {
		defer close(done)
		wait(r)
	}()
	<-done
	return r.failure
}

func TestFor(t *testing.T) {
	third := func() func() error {
		calls := 0
		return func() error {
			if calls++; calls < 3 {
				return fmt.Errorf("call %d", calls)
			}
			return nil
		}
	}
	for _, test := range []struct {
		name string
		wait func(t testing.TB)
		want []string // parts of the failure; none if it succeeds
	}{
		{"at once", func(t testing.TB) { For(t, "anything", func() error { return nil }) }, nil},
		{"in the end", func(t testing.TB) { For(t, "the third call", third()) }, nil},
		{"true in the end", func(t testing.TB) {
			check := third()
			Until(t, "the third call", func() bool { return check() == nil })
		}, nil},
		{"never", func(t testing.TB) {
			ForUpTo(t, 20*time.Millisecond, "the pod runs", func() error { return errors.New("it is Pending") })
		}, []string{"the pod runs", "it is Pending"}},
		{"checked once more when the time is over", func(t testing.TB) { ForUpTo(t, 0, "the third call", third()) }, []string{"call 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := failureOf(test.wait)
			if (got != "") != (len(test.want) > 0) {
				t.Errorf("failed with %q, want %q", got, test.want)
			}
			for _, part := range test.want {
				if !strings.Contains(got, part) {
					t.Errorf("failed with %q, which does not say %q", got, part)
				}
			}
		})
	}
}

func TestPollReturnsTheLastError(t *testing.T) {
	calls := 0
	err := Poll(10*time.Millisecond, func() error { calls++; return fmt.Errorf("call %d", calls) })
	if err == nil || err.Error() != fmt.Sprintf("call %d", calls) || calls < 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
