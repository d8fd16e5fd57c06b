//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// eventually is wait.For without the name of the condition. The limit is that of
// wait.For: a loaded machine does not keep a shorter one.
func eventually(t *testing.T, _ time.Duration, try func() error) {
	t.Helper()
	wait.For(t, "the check to pass", try)
}

// until is wait.Until with the name of what is wrong as long as it is not so.
func until(t *testing.T, _ time.Duration, problem string, condition func() bool) {
	t.Helper()
	wait.Until(t, "no longer: "+problem, condition)
}
