package server

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// evictedAtOnce is how many connections are closed when there are too many, so
// that a flood does not make the server look for one each time.
const evictedAtOnce = 32

// connections bounds the open connections. When there are too many, those that
// wait for a request for the longest time are closed: clients open them again
// when they need them. Requests that are served go on.
type connections struct {
	max      int64
	rejected func()
	now      func() time.Time

	count atomic.Int64
	all   sync.Map // of net.Conn to *connection

	evicting sync.Mutex
}

// connection is what is known of an open connection.
type connection struct {
	conn net.Conn
	// waiting is since when it waits for a request, for the body of a client that
	// has not authenticated, or for one that nobody reads, in nanoseconds; 0 while a
	// request is served.
	waiting atomic.Int64
	// writesUntil is the deadline of its answers. Only the request that is served
	// looks at it.
	writesUntil time.Time
}

func newConnections(most int, rejected func()) *connections {
	return &connections{max: int64(most), rejected: rejected, now: time.Now}
}

type connectionKey struct{}

// context implements http.Server.ConnContext.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	known := &connection{conn: conn}
	known.waiting.Store(c.now().UnixNano())
	c.all.Store(conn, known)
	if c.count.Add(1) > c.max && c.max > 0 {
		c.evict(known)
	}
	return context.WithValue(ctx, connectionKey{}, known)
}

// state implements http.Server.ConnState.
func (c *connections) state(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
	case http.StateClosed, http.StateHijacked: // hijacked ones are bounded as requests that last
		if _, found := c.all.LoadAndDelete(conn); found {
			c.count.Add(-1)
		}
	default:
		if found, ok := c.all.Load(conn); ok {
			since := int64(0)
			if state == http.StateIdle {
				since = c.now().UnixNano()
			}
			found.(*connection).waiting.Store(since)
		}
	}
}

// evict closes the connections that wait for the longest time, and the newest only
// when no other waits: its request is on its way.
func (c *connections) evict(newest *connection) {
	c.evicting.Lock()
	defer c.evicting.Unlock()
	over := c.count.Load() - c.max
	if over <= 0 {
		return // somebody else did
	}
	type candidate struct {
		*connection
		since int64
	}
	var waiting []candidate
	c.all.Range(func(_, value any) bool {
		known := value.(*connection)
		if since := known.waiting.Load(); since != 0 && known != newest {
			waiting = append(waiting, candidate{known, since})
		}
		return true
	})
	if len(waiting) == 0 {
		waiting = append(waiting, candidate{newest, newest.waiting.Load()})
	}
	slices.SortFunc(waiting, func(a, b candidate) int { return int(min(max(a.since-b.since, -1), 1)) })
	for _, one := range waiting[:min(len(waiting), int(over)+evictedAtOnce)] {
		if one.waiting.CompareAndSwap(one.since, 0) { // no request came meanwhile
			c.rejected()
			closeNow(one.conn)
		}
	}
}

// closeNow closes the TCP connection without the close_notify of TLS, which blocks
// until the client reads.
func closeNow(conn net.Conn) {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	_ = conn.Close()
}

// awaitBody marks the connection of a request as one that waits for its client,
// until the function it returns is called. Streams of HTTP/2 share a connection.
func awaitBody(r *http.Request) (arrived func()) {
	known, ok := r.Context().Value(connectionKey{}).(*connection)
	if !ok || r.ProtoMajor != 1 {
		return func() {}
	}
	known.waiting.Store(time.Now().UnixNano())
	return func() { known.waiting.Store(0) }
}
