//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// shownLines is how much of the log a failed test shows; all of it is in a file.
const shownLines = 100

// logs receives what the servers and clusters of all tests log.
var logs = &logBuffer{tests: make(map[string]bool)}

// logBuffer keeps a log that is of interest only if a test fails.
type logBuffer struct {
	mu    sync.Mutex
	text  bytes.Buffer
	shown int             // up to where it has been shown
	tests map[string]bool // that show it when they fail
}

// install makes the buffer the log of this process.
func (b *logBuffer) install() {
	logger := slog.New(slog.NewTextHandler(b, nil))
	slog.SetDefault(logger)
	klog.SetSlogLogger(logger)
	ctrllog.SetLogger(logr.FromSlogHandler(logger.Handler()))
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// showOnFailure shows what is logged from now on if the test fails. Further calls
// for a test do nothing.
func (b *logBuffer) showOnFailure(t *testing.T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tests[t.Name()] {
		return
	}
	b.tests[t.Name()] = true
	begin := b.text.Len()
	t.Cleanup(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.tests, t.Name()) // with -count it runs again
		if !t.Failed() {
			return
		}
		// What a subtest has shown its parent need not show again.
		lines := bytes.SplitAfter(b.text.Bytes()[max(begin, b.shown):], []byte("\n"))
		b.shown = b.text.Len()
		left := max(0, len(lines)-shownLines)
		t.Logf("the log meanwhile, without the first %d lines:\n%s", left, bytes.Join(lines[left:], nil))
	})
}

// save writes the whole log to a file and says which.
func (b *logBuffer) save(w io.Writer) {
	b.mu.Lock()
	defer b.mu.Unlock()
	path := filepath.Join(os.TempDir(), fmt.Sprintf("ks-apiserver-e2e-%d.log", os.Getpid()))
	if err := os.WriteFile(path, b.text.Bytes(), 0o600); err != nil {
		fmt.Fprintln(w, "the log cannot be written:", err)
		return
	}
	fmt.Fprintln(w, "the whole log:", path)
}
