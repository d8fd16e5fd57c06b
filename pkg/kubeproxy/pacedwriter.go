package kubeproxy

import (
	"context"
	"net/http"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// unsent is how much of an answer net/http keeps until there is more: writing it does not
// block.
const unsent = 2 << 10

// longAgo is a deadline that is over.
var longAgo = time.Unix(1, 0)

// pacedWriter writes an answer to a client that has to read it, see pace.
type pacedWriter struct {
	http.ResponseWriter
	pace
	// flushes is not set for what is answered at once: it is sent when there is enough of
	// it, or all.
	flushes bool
	written int
	// settling is told of what is sent; nil when nobody waits for it.
	settling *settling
}

// paced returns the writer for the answer to a request, and the request to forward, which
// that writer may end. The function that is returned has to be called at the end.
func (p *Proxy) paced(w http.ResponseWriter, r *http.Request) (*pacedWriter, *http.Request, context.CancelFunc) {
	info := request.InfoFrom(r.Context())
	lasts, seats := info.Lasts(), int64(1)
	if info.Verb == "list" {
		seats = seatsOfList
	}
	paced := &pacedWriter{ResponseWriter: w, flushes: lasts, pace: pace{pacing: p.pacing, places: p.stalled, seats: seats, holder: turns.HolderFrom(r.Context())}}
	if !lasts {
		paced.limit = 0 // the connection has a deadline
	}
	if r.ProtoMajor < 2 {
		paced.end = paced.abort
		return paced, r, func() {}
	}
	// While all of the connection blocks, its streams do not end: the request to
	// Kubernetes does.
	ctx, cancel := context.WithCancel(r.Context())
	paced.end = func() {
		cancel()
		paced.abort()
	}
	return paced, r.WithContext(ctx), cancel
}

// abort makes writes fail, also the one that closes the connection.
func (w *pacedWriter) abort() {
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(longAgo)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter. Only what precedes an answer is sent at once.
func (w *pacedWriter) WriteHeader(code int) {
	if code >= http.StatusOK {
		w.ResponseWriter.WriteHeader(code)
		w.settling.done()
		return
	}
	if w.begin() != nil {
		return // the answer, if it comes, fails
	}
	w.ResponseWriter.WriteHeader(code)
	_ = w.done(0) // likewise
}

// Write implements io.Writer.
func (w *pacedWriter) Write(data []byte) (int, error) {
	w.written += len(data)
	if !w.flushes && w.written <= unsent {
		return w.ResponseWriter.Write(data)
	}
	if err := w.begin(); err != nil {
		return 0, err
	}
	w.settling.begin()
	n, err := w.ResponseWriter.Write(data)
	w.settling.done()
	if late := w.done(n); err == nil {
		err = late
	}
	return n, err
}

// FlushError implements what http.ResponseController looks for.
func (w *pacedWriter) FlushError() error {
	if !w.flushes {
		return nil
	}
	if err := w.begin(); err != nil {
		return err
	}
	w.settling.begin()
	err := http.NewResponseController(w.ResponseWriter).Flush()
	w.settling.done()
	if late := w.done(0); err == nil {
		err = late
	}
	return err
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() { _ = w.FlushError() }
