package kubelet

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// patience is how long a connection stays open for its client to end it.
const patience = 5 * time.Second

// lingering leaves it to the client to end a connection that was taken over. Who
// closes one whose other end has sent what nobody has read yet, as over SPDY it
// always has, resets it, and what was on its way is lost: of commands that end at
// once, all they said (RFC 1122 §4.2.2.13).
type lingering struct{ http.ResponseWriter }

// Hijack implements http.Hijacker.
func (l lingering) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(l.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	open := &lingeringConn{Conn: conn, ended: make(chan struct{})}
	read, err := buffer.Peek(buffer.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	reader := io.MultiReader(bytes.NewReader(slices.Clone(read)), open)
	return open, bufio.NewReadWriter(bufio.NewReader(reader), buffer.Writer), nil
}

// lingeringConn is closed when the client has closed it.
type lingeringConn struct {
	net.Conn
	once  sync.Once
	ended chan struct{} // closed when there is nothing more to read
}

func (c *lingeringConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.once.Do(func() { close(c.ended) })
	}
	return n, err
}

// Close returns at once; whoever reads goes on until the client is done.
func (c *lingeringConn) Close() error {
	go func() {
		patient := time.NewTimer(patience)
		defer patient.Stop()
		select {
		case <-c.ended:
		case <-patient.C:
		}
		_ = c.Conn.Close()
	}()
	return nil
}
