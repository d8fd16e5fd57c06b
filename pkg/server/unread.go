package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// unreadTimeout is how long the rest of a body may take that nobody reads: net/http
// reads it after the answer, so that the client sees the answer.
const unreadTimeout = 2 * time.Second

// maxUnread is how many bytes of a refused body are read and thrown away.
const maxUnread = 16 << 20

// arrivingBody is the body of a request, and whether it was read to its end. A
// refused request whose body is not there must not hold its connection.
type arrivingBody struct {
	io.ReadCloser
	http1  bool
	ended  atomic.Bool
	passed atomic.Bool // to a handler, which says what becomes of the connection
}

// followBody replaces the body of a request by one that knows whether it was read;
// nil when there is none.
func followBody(r *http.Request) *arrivingBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &arrivingBody{ReadCloser: r.Body, http1: r.ProtoMajor == 1}
	r.Body = b
	return b
}

// Read implements io.Reader.
func (b *arrivingBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if errors.Is(err, io.EOF) {
		b.ended.Store(true)
	}
	return n, err
}

// pass notes that a handler gets the request.
func (b *arrivingBody) pass() {
	if b != nil {
		b.passed.Store(true)
	}
}

// answer runs before the header of an answer is written: one that refuses the
// request ends the connection, and net/http does not await the body before it.
func (b *arrivingBody) answer(header http.Header) {
	if b != nil && b.http1 && !b.passed.Load() && !b.ended.Load() {
		header.Set("Connection", "close")
	}
}

// leave runs when a request is answered: what is left of its body has little time,
// and its connection is closed before others when there are too many.
func (b *arrivingBody) leave(w http.ResponseWriter, r *http.Request, code int) {
	if b == nil || b.ended.Load() || code == http.StatusSwitchingProtocols {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadTimeout))
	_ = awaitBody(r) // until the state of the connection changes
	if b.http1 && !b.passed.Load() {
		// A client that still sends sees a reset instead of the answer unless it is read.
		_ = http.NewResponseController(w).Flush()
		_, _ = io.CopyN(io.Discard, b.ReadCloser, maxUnread)
	}
}
