package server

import (
	"net/http"
	"slices"
	"sync"

	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
)

// Bounds of answers that are on their way without a place: those of visitors, who do not
// keep places from others by not reading, and refusals.
const (
	answersInTotal   = 1024
	answersPerHolder = 64
)

// Bounds of the streams of HTTP/2 that go on when their handler is done, since the client
// does not read: net/http keeps a goroutine and the request for each of them.
const (
	streamsInTotal   = 4096
	streamsPerHolder = 128
)

// unreadAnswers bounds what clients cost that do not read their answers.
type unreadAnswers struct {
	// withoutPlace are held by answers on their way, by user or network.
	withoutPlace *quota.Quota
	// ofUsers and ofVisitors are streams whose handler is done.
	ofUsers, ofVisitors *lingering
}

func newUnreadAnswers() *unreadAnswers {
	return &unreadAnswers{
		withoutPlace: quota.New(answersInTotal, answersPerHolder),
		ofUsers:      newLingering(streamsInTotal, streamsPerHolder), ofVisitors: newLingering(streamsInTotal, streamsPerHolder),
	}
}

// begin takes what an answer needs that begins. One that holds a place until its end
// needs nothing more. A visitor's gives its place back if it can.
func (u *unreadAnswers) begin(c *call) {
	if c.placed && c.free == nil || c.probe {
		return
	}
	holder := c.holder()
	switch err := u.withoutPlace.Take(holder, 1); {
	case err == nil:
		c.answering = holder
		if c.free != nil {
			c.free()
		}
	case !c.placed: // the client has many that it does not read
		panic(http.ErrAbortHandler)
	}
}

// end gives back what begin took. It reports whether the stream of an answer may go on
// until the client has read it.
func (u *unreadAnswers) end(w http.ResponseWriter, r *http.Request, c *call) bool {
	if c.answering != "" {
		u.withoutPlace.Release(c.answering, 1)
	}
	if r.ProtoMajor != 2 {
		return true
	}
	stream, ok := w.(http.CloseNotifier) //nolint:staticcheck // the context ends with the handler, not with the stream
	if !ok {
		return true
	}
	of := u.ofVisitors
	if c.caller.authenticated {
		of = u.ofUsers
	}
	return of.add(c.holder(), stream.CloseNotify())
}

// lingering are streams that have not ended yet, by holder.
type lingering struct {
	total, share int

	mu   sync.Mutex
	held int
	by   map[string][]<-chan bool
}

func newLingering(total, share int) *lingering {
	return &lingering{total: total, share: share, by: make(map[string][]<-chan bool)}
}

// add counts a stream for a holder until it ends, and reports whether there was room. As
// of a quota, a holder has no more than what is free.
func (l *lingering) add(holder string, ended <-chan bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(holder)
	if l.held >= l.total/2 {
		for other := range l.by { // what has ended since its holder came last
			l.sweep(other)
		}
	}
	own := l.by[holder]
	if len(own) >= l.share || l.held >= l.total || len(own) > 0 && len(own) >= l.total-l.held {
		return false
	}
	l.by[holder] = append(own, ended)
	l.held++
	return true
}

// sweep forgets the streams of a holder that have ended.
func (l *lingering) sweep(holder string) {
	own := l.by[holder]
	before := len(own)
	own = slices.DeleteFunc(own, func(ended <-chan bool) bool {
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	l.held -= before - len(own)
	if len(own) == 0 {
		delete(l.by, holder)
		return
	}
	l.by[holder] = own
}
