package server

import (
	"net/http"
	"time"
)

const (
	// requestTimeout bounds a request that is not meant to last; kube-apiserver's.
	requestTimeout = time.Minute
	// delegatedTimeout bounds a request to a service behind this server, which
	// may move files, and agrees with its clients on everything shorter.
	delegatedTimeout = 10 * time.Minute
	// answerGrace is for the answer to a request that took too long.
	answerGrace = 5 * time.Second
	// deadlineSlack is how much later than asked for the deadline of a connection
	// may be, so that not each of its requests sets one.
	deadlineSlack = 15 * time.Second
)

// deadlines are those of a connection, or of one stream of it: unlike the deadline
// of a context they end reads and writes that wait for the client. net/http resets
// that for reads between requests, and keeps that for writes.
type deadlines struct {
	control http.ResponseController
	reads   bool // whether the request has a body
	// connection is that of a request over HTTP/1.1, which has it to itself; nil
	// for others.
	connection *connection
}

func newDeadlines(w http.ResponseWriter, r *http.Request) deadlines {
	d := deadlines{control: *http.NewResponseController(w), reads: r.Body != nil && r.Body != http.NoBody}
	if r.ProtoMajor == 1 {
		d.connection, _ = r.Context().Value(connectionKey{}).(*connection)
	}
	return d
}

// set ends reads of the body and writes of the answer at a time. Writers without
// deadlines belong to tests.
func (d *deadlines) set(end time.Time) {
	d.setRead(end)
	end = end.Add(answerGrace)
	if d.connection != nil {
		if until := d.connection.writesUntil; !until.Before(end) && !until.After(end.Add(deadlineSlack)) {
			return
		}
		end = end.Add(deadlineSlack)
		d.connection.writesUntil = end
	}
	_ = d.control.SetWriteDeadline(end)
}

func (d *deadlines) setRead(end time.Time) {
	if d.reads {
		_ = d.control.SetReadDeadline(end)
	}
}

// clear lets a request last: the connection may have the deadline of the request
// before.
func (d *deadlines) clear() {
	if d.connection != nil {
		d.connection.writesUntil = time.Time{} // the handler may set other deadlines
	}
	_ = d.control.SetWriteDeadline(time.Time{})
}
