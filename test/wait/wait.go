package wait

import (
	"errors"
	"testing"
	"time"
)

// Timeout is how long For waits.
const Timeout = time.Minute

// The pause between two checks grows, so that a slow condition does not keep a
// busy machine even busier.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

// For calls check until it returns nil, for up to Timeout. After that the test
// ends, and is told the condition that was waited for and the last error. It has
// to be called from the goroutine of the test.
func For(t testing.TB, condition string, check func() error) {
	t.Helper()
	ForUpTo(t, Timeout, condition, check)
}

// ForUpTo is For with another limit, for what takes longer than a minute even on
// an idle machine.
func ForUpTo(t testing.TB, timeout time.Duration, condition string, check func() error) {
	t.Helper()
	if took, err := poll(timeout, check); err != nil {
		t.Fatalf("waited %s for: %s; last seen: %v", took.Round(time.Second/10), condition, err)
	}
}

// Until is For for a condition that is true or not.
func Until(t testing.TB, condition string, check func() bool) {
	t.Helper()
	For(t, condition, func() error {
		if !check() {
			return errNotYet
		}
		return nil
	})
}

// Poll is For outside of a test, such as in TestMain: it returns the last error.
func Poll(timeout time.Duration, check func() error) error {
	_, err := poll(timeout, check)
	return err
}

var errNotYet = errors.New("it is not so")

// poll checks at least once, and once more after the timeout: a process that was
// not scheduled for all of it has not looked yet.
func poll(timeout time.Duration, check func() error) (took time.Duration, err error) {
	start, pause := time.Now(), firstPause
	for {
		late := time.Since(start) >= timeout
		if err = check(); err == nil || late {
			return time.Since(start), err
		}
		time.Sleep(pause)
		pause = min(pause*3/2, lastPause)
	}
}
