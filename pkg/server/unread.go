package server

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// unreadTimeout is how long the rest of a body may take that nobody reads: net/http
// reads it after the answer, so that the client sees the answer.
const unreadTimeout = 2 * time.Second

const (
	// maxUnread is how many bytes of a refused body are read and thrown away.
	maxUnread = 16 << 20
	// concurrentDrains bounds how many refused bodies are read at once, and
	// drainsPerAddress those of a client address. The clients of others may see their
	// connection end instead of the answer.
	concurrentDrains = 32
	drainsPerAddress = 8
)

// newDrains returns the quota of refused bodies that are read, by client address.
func newDrains() *quota.Quota { return quota.New(concurrentDrains, drainsPerAddress) }

// arrivingBody is the body of a request, and whether it was read to its end. A
// refused request whose body is not there must not hold its connection.
type arrivingBody struct {
	io.ReadCloser
	drains *quota.Quota
	http1  bool
	ended  atomic.Bool
	passed atomic.Bool // to a handler, which says what becomes of the connection
}

// followBody replaces the body of a request by one that knows whether it was read;
// nil when there is none. drains bounds how many refused bodies are read at once.
func followBody(r *http.Request, drains *quota.Quota) *arrivingBody {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	b := &arrivingBody{ReadCloser: r.Body, drains: drains, http1: r.ProtoMajor == 1}
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
		b.drain(w, identity.Network(request.ClientAddress(r)))
	}
}

// drain reads what is left of a refused body, within the share of the client's
// network: a client that still sends sees a reset instead of the answer otherwise.
func (b *arrivingBody) drain(w http.ResponseWriter, network string) {
	_ = http.NewResponseController(w).Flush()
	if b.drains.Take(network, 1) != nil {
		return
	}
	defer b.drains.Release(network, 1)
	_, _ = io.CopyN(io.Discard, b.ReadCloser, maxUnread)
}
