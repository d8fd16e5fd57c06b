package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// recorder notes the status and size of an answer on its way out.
type recorder struct {
	http.ResponseWriter
	code   int
	bytes  int64
	call   *call
	unread *unreadAnswers
}

// begin notes that the answer begins.
func (r *recorder) begin(code int) {
	if r.code != 0 {
		return
	}
	r.code = code
	r.call.body.answer(r.Header())
	r.unread.begin(r.call)
}

func (r *recorder) WriteHeader(code int) {
	if code >= http.StatusOK {
		r.begin(code)
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(data []byte) (int, error) {
	r.begin(http.StatusOK)
	n, err := r.ResponseWriter.Write(data)
	r.bytes += int64(n)
	return n, err
}

// WriteString implements io.StringWriter, so that what is kept as text is not copied.
func (r *recorder) WriteString(text string) (int, error) {
	r.begin(http.StatusOK)
	n, err := io.WriteString(r.ResponseWriter, text)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush implements http.Flusher for handlers that ask for it.
func (r *recorder) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

// Hijack implements http.Hijacker for handlers that upgrade the connection.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffer, err := http.NewResponseController(r.ResponseWriter).Hijack()
	if err == nil {
		r.code = http.StatusSwitchingProtocols
	}
	return conn, buffer, err
}
