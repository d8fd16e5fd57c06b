package objectstest

import (
	"net/http"
	"runtime"
	"testing"
)

// Unread makes an answer for a client that does not read for a long time, now and
// then, and returns by how many bytes the heap had grown then, at most. The answer
// has to be one of many megabytes, so that there is something to wait for.
func Unread(t testing.TB, answer func(http.ResponseWriter) error) int64 {
	t.Helper()
	runtime.GC()
	runtime.GC() // what pools keep survives one
	w := &unread{header: http.Header{}, before: heap()}
	if err := answer(w); err != nil {
		t.Fatal(err)
	}
	if w.sent < pause {
		t.Fatalf("an answer of %d bytes does not wait", w.sent)
	}
	return w.grown
}

// pause is after how many bytes an unread client stops to read.
const pause = 16 << 20

// unread is a client that does not read: what is made for it is in memory until
// Write returns.
type unread struct {
	header        http.Header
	sent          int
	before, grown int64
}

func (w *unread) Header() http.Header { return w.header }
func (w *unread) WriteHeader(int)     {}

func (w *unread) Write(data []byte) (int, error) {
	if w.sent == 0 || w.sent/pause != (w.sent+len(data))/pause {
		runtime.GC()
		w.grown = max(w.grown, heap()-w.before)
	}
	w.sent += len(data)
	return len(data), nil
}

func heap() int64 {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return int64(memory.HeapAlloc) //nolint:gosec // far from the end of the numbers
}
