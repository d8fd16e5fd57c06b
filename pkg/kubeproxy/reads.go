package kubeproxy

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Lists, and watches until their first events are sent, that Kubernetes answers at once for
// one user: each may be all that a user has stored, and kube-apiserver makes it anew for
// each of them. Others wait for their turn.
const (
	maxReadsPerUser = 4
	readWait        = 15 * time.Second
	tooManyReads    = "you have as many lists and new watches open as one user may have, try again later"
)

// A watch has sent its first events when it sends nothing for a moment. One that never stops
// counts no longer after a while.
const (
	settledAfter  = 100 * time.Millisecond
	settledAtLast = 10 * time.Second
)

// takeRead waits for the turn of a list or watch. It answers the request when there is none.
// Other requests need none.
func (p *Proxy) takeRead(w http.ResponseWriter, r *http.Request, info *request.Info) (settling *settling, found bool) {
	if info.Verb != "list" && info.Verb != "watch" {
		return nil, true
	}
	release, err := p.reads.Take(r.Context(), turns.HolderFrom(r.Context()))
	if err != nil {
		status.Write(w, r, err)
		return nil, false
	}
	return newSettling(release, info.Verb == "watch", p.settledAfter), true
}

// settling gives the turn of a read back: that of a list at its end, that of a watch when its
// first events are sent. Nil is for what has none.
type settling struct {
	release func()
	watch   bool
	after   time.Duration // without an event
	over    atomic.Bool
	last    *time.Timer
	quiet   *time.Timer // nil before the answer begins
}

func newSettling(release func(), watch bool, after time.Duration) *settling {
	s := &settling{release: release, watch: watch, after: after}
	if watch {
		s.last = time.AfterFunc(settledAtLast, s.end)
	}
	return s
}

// begin comes before something is sent.
func (s *settling) begin() {
	if s != nil && s.quiet != nil && !s.over.Load() {
		s.quiet.Stop()
	}
}

// done comes after something was sent.
func (s *settling) done() {
	switch {
	case s == nil || !s.watch || s.over.Load():
	case s.quiet == nil:
		s.quiet = time.AfterFunc(s.after, s.end)
	default:
		s.quiet.Reset(s.after)
	}
}

// end gives the turn back. It may be called more than once.
func (s *settling) end() {
	if s == nil || s.over.Swap(true) {
		return
	}
	if s.last != nil {
		s.last.Stop()
	}
	s.release()
}
