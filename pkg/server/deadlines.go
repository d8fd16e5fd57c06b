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
)

// deadlines are those of a connection, or of one stream of it: unlike the deadline
// of a context they end reads and writes that wait for the client. net/http resets
// that for reads between requests, and keeps that for writes.
type deadlines struct {
	control *http.ResponseController
	reads   bool // whether the request has a body
}

func newDeadlines(w http.ResponseWriter, r *http.Request) deadlines {
	return deadlines{http.NewResponseController(w), r.Body != nil && r.Body != http.NoBody}
}

// set ends reads of the body and writes of the answer at a time. Writers without
// deadlines belong to tests.
func (d deadlines) set(end time.Time) {
	d.setRead(end)
	_ = d.control.SetWriteDeadline(end.Add(answerGrace))
}

func (d deadlines) setRead(end time.Time) {
	if d.reads {
		_ = d.control.SetReadDeadline(end)
	}
}

// clear lets a request last: the connection may have the deadline of the request
// before.
func (d deadlines) clear() {
	_ = d.control.SetWriteDeadline(time.Time{})
}
