package server

import (
	"net/http"
	"slices"
	"sync"
)

// Bounds of answers that are on their way without a place: refusals, those of visitors, who
// do not keep places from others by not reading, and streams of HTTP/2 whose handler is
// done, for each of which net/http keeps a goroutine and the request until it is read.
const (
	answersInTotal   = 4096
	answersPerHolder = 128
)

// unreadAnswers bounds what clients cost that do not read their answers. Who does not read
// gives way: where there is no room, the connection with the most answers is closed.
type unreadAnswers struct{ ofUsers, ofVisitors *answers }

func newUnreadAnswers() *unreadAnswers {
	return &unreadAnswers{ofUsers: newAnswers(answersInTotal, answersPerHolder), ofVisitors: newAnswers(answersInTotal, answersPerHolder)}
}

func (u *unreadAnswers) of(c *call) *answers {
	if c.caller.authenticated {
		return u.ofUsers
	}
	return u.ofVisitors
}

// begin takes what an answer needs that begins. One that holds a place until its end
// needs nothing more. A visitor's gives its place back if it can.
func (u *unreadAnswers) begin(c *call) {
	if c.placed && c.free == nil || c.probe {
		return
	}
	c.answer = u.of(c).add(c.holder(), connectionOf(c.request))
	switch {
	case c.answer != nil && c.free != nil:
		c.free()
	case c.answer == nil && !c.placed: // the client has too many on this connection
		panic(http.ErrAbortHandler)
	}
}

// end gives back what begin took, but for streams of HTTP/2, which may go on until the
// client has read them. It reports whether they may.
func (u *unreadAnswers) end(w http.ResponseWriter, r *http.Request, c *call) bool {
	stream, ok := w.(http.CloseNotifier) //nolint:staticcheck // the context ends with the handler, not with the stream
	if r.ProtoMajor != 2 || !ok {
		if c.answer != nil {
			u.of(c).remove(c.answer)
		}
		return true
	}
	if c.answer == nil {
		c.answer = u.of(c).add(c.holder(), connectionOf(r))
	}
	if c.answer == nil {
		return false
	}
	u.of(c).linger(c.answer, stream.CloseNotify())
	return true
}

func connectionOf(r *http.Request) *connection {
	known, _ := r.Context().Value(connectionKey{}).(*connection)
	return known
}

// answers are on their way, by holder.
type answers struct {
	total, share int

	mu   sync.Mutex
	held int
	by   map[string][]*answer // the oldest first
}

// answer is one that is on its way.
type answer struct {
	holder     string
	connection *connection // nil for none
	// ended tells of the end of a stream whose handler is done; nil before.
	ended <-chan bool
}

func newAnswers(total, share int) *answers {
	return &answers{total: total, share: share, by: make(map[string][]*answer)}
}

// add counts an answer for a holder. Where there is no room, the connection with the most
// answers is closed, of the holder or of the one with the most; nil if that is the
// connection of the answer itself.
func (a *answers) add(holder string, connection *connection) *answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(holder)
	if a.held >= a.total {
		for other := range a.by { // what has ended since its holder came last
			a.sweep(other)
		}
	}
	switch {
	case len(a.by[holder]) >= a.share:
		if !a.evict(holder, connection) {
			return nil
		}
	case a.held >= a.total:
		most := holder
		for other, all := range a.by {
			if len(all) > len(a.by[most]) {
				most = other
			}
		}
		if !a.evict(most, connection) {
			return nil
		}
	}
	one := &answer{holder: holder, connection: connection}
	a.by[holder] = append(a.by[holder], one)
	a.held++
	return one
}

// evict closes the connection of a holder with the most answers, and reports whether there
// was one with more than a connection has.
func (a *answers) evict(holder string, besides *connection) bool {
	counts, most := make(map[*connection]int), (*connection)(nil)
	for _, one := range a.by[holder] {
		counts[one.connection]++
	}
	for _, one := range a.by[holder] { // the oldest of those with as many
		if one.connection != nil && counts[one.connection] > counts[most] {
			most = one.connection
		}
	}
	if most == nil || counts[most] <= counts[besides] {
		return false
	}
	a.drop(holder, func(one *answer) bool { return one.connection == most })
	closeNow(most.conn)
	return true
}

// linger lets an answer count until its stream ends.
func (a *answers) linger(one *answer, ended <-chan bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one.ended = ended
}

func (a *answers) remove(one *answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(one.holder, func(other *answer) bool { return other == one })
}

// sweep forgets the streams of a holder that have ended.
func (a *answers) sweep(holder string) {
	a.drop(holder, func(one *answer) bool {
		select {
		case <-one.ended:
			return true
		default:
			return false
		}
	})
}

func (a *answers) drop(holder string, gone func(*answer) bool) {
	before := len(a.by[holder])
	own := slices.DeleteFunc(a.by[holder], gone)
	a.held -= before - len(own)
	if len(own) == 0 {
		delete(a.by, holder)
		return
	}
	a.by[holder] = own
}
