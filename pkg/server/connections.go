package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// evictedAtOnce is how many connections are closed when there are too many, so
// that a flood does not make the server look for one each time.
const evictedAtOnce = 32

// connections bounds the open connections. When there are too many, those that
// wait for a request for the longest time are closed: clients open them again
// when they need them. When none waits, those go that only visitors have used, from
// the network that has the most: answers nobody reads must not keep everybody else
// away. Requests of users that are served go on.
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
	// opened is since when it is open, in nanoseconds, and network where it comes from.
	opened  int64
	network string
	// used is whether somebody with an account has used it.
	used atomic.Bool
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
	known := &connection{conn: conn, opened: c.now().UnixNano(), network: networkOf(conn)}
	known.waiting.Store(known.opened)
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
	visitors := make(map[string][]*connection) // by network
	c.all.Range(func(_, value any) bool {
		known := value.(*connection)
		if since := known.waiting.Load(); since != 0 && known != newest {
			waiting = append(waiting, candidate{known, since})
		}
		if !known.used.Load() {
			visitors[known.network] = append(visitors[known.network], known)
		}
		return true
	})
	if len(waiting) == 0 {
		c.evictVisitors(visitors, newest, int(over))
		return
	}
	slices.SortFunc(waiting, func(a, b candidate) int { return int(min(max(a.since-b.since, -1), 1)) })
	for _, one := range waiting[:min(len(waiting), int(over)+evictedAtOnce)] {
		if one.waiting.CompareAndSwap(one.since, 0) { // no request came meanwhile
			c.rejected()
			closeNow(one.conn)
		}
	}
}

// evictVisitors closes the oldest connections of visitors, of the network with the most
// of them, and the newest connection when no network has more than its own.
func (c *connections) evictVisitors(visitors map[string][]*connection, newest *connection, over int) {
	most := slices.DeleteFunc(visitors[newest.network], func(one *connection) bool { return one == newest })
	for network, all := range visitors {
		if network != newest.network && len(all) > len(most) {
			most = all
		}
	}
	if len(most) == 0 {
		most = []*connection{newest} // all others are used: its request is on its way
	}
	slices.SortFunc(most, func(a, b *connection) int { return cmp.Compare(a.opened, b.opened) })
	for _, one := range most[:min(len(most), over+evictedAtOnce)] {
		c.rejected()
		closeNow(one.conn)
	}
}

// networkOf is where a connection comes from, as identity.Network says.
func networkOf(conn net.Conn) string {
	address := conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	return identity.Network(address)
}

// usedBy notes that somebody with an account uses the connection of a request.
func usedBy(r *http.Request) {
	if known, ok := r.Context().Value(connectionKey{}).(*connection); ok && !known.used.Load() {
		known.used.Store(true)
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
