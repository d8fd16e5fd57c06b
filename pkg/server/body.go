package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

const (
	// maxUnauthenticatedBody bounds the bodies of clients that have not
	// authenticated: forms and logins.
	maxUnauthenticatedBody = 64 << 10
	// unauthenticatedBodyTimeout is how long such a body may take.
	unauthenticatedBodyTimeout = 15 * time.Second
	// bodyStep is how much memory a body gets at first; it is doubled as the
	// client sends more, so that an announced length costs nothing.
	bodyStep = 4 << 10
	// A user has memory for two of the largest bodies, and there is memory for
	// sixteen. The first step is not counted.
	bodiesPerUser = 2
	bodiesInTotal = 16
)

// bodyReader reads bodies before their requests take a place: a client that sends
// slowly holds none meanwhile.
type bodyReader struct {
	limit                  int64
	memory                 *quota.Quota // of users
	users, unauthenticated awaitedBodies
}

func newBodyReader(c *config.Server) *bodyReader {
	limit := c.MaxBodyBytes + bodyStep
	return &bodyReader{limit: c.MaxBodyBytes, memory: quota.New(bodiesInTotal*limit, bodiesPerUser*limit)}
}

// requestTimedOut is a 408.
func requestTimedOut() error {
	return status.New(http.StatusRequestTimeout, metav1.StatusReasonTimeout, "the body of the request did not arrive in time")
}

// errGoesOn is returned for a body that is larger than what is read ahead.
var errGoesOn = errors.New("the body goes on")

// readBody reads the body of a request. Its memory is given back when release is
// called, which is never nil.
func (a *admission) readBody(w http.ResponseWriter, r *http.Request, who caller, d deadlines) (release func(), err error) {
	return a.read(w, r, who, d, false)
}

// readAhead reads the body of a request that a service behind this server gets, as
// far as its memory goes. Of a larger one the rest is passed on as it comes.
func (a *admission) readAhead(w http.ResponseWriter, r *http.Request, c *call) (release func(), whole bool, err error) {
	if c.long {
		c.deadlines.setRead(time.Now().Add(requestTimeout))
	}
	release, err = a.read(w, r, c.caller, c.deadlines, true)
	switch {
	case err != nil && !errors.Is(err, errGoesOn):
		return release, false, err
	case err == nil && c.long:
		c.deadlines.setRead(time.Time{}) // reads only notice that the client goes away
	default:
		c.deadlines.setRead(time.Now().Add(delegatedTimeout))
	}
	return release, err == nil, nil
}

// read reads a body up to a limit. Beyond it, it fails with errGoesOn if the body
// may be passed on as it comes.
func (a *admission) read(w http.ResponseWriter, r *http.Request, who caller, d deadlines, passesOn bool) (release func(), err error) {
	awaited, limit := &a.bodies.users, a.bodies.limit
	if !who.authenticated {
		awaited, limit = &a.bodies.unauthenticated, min(limit, maxUnauthenticatedBody)
		d.setRead(time.Now().Add(unauthenticatedBodyTimeout))
		defer awaitBody(r)()
	}
	defer awaited.enter(who.name, func() { d.setRead(time.Unix(1, 0)) })()
	reserved := int64(0)
	release = func() {
		if reserved > 0 {
			a.bodies.memory.Release(who.name, reserved)
		}
	}
	rest := r.Body
	var source io.Reader = rest
	switch {
	case r.ContentLength > limit && passesOn:
		r.Body = streamedBody{rest}
		return release, errGoesOn
	case r.ContentLength > limit:
		return release, status.TooLarge(limit)
	case !passesOn:
		source = http.MaxBytesReader(w, rest, limit)
	}
	var content []byte
	for {
		if int64(len(content)) > limit {
			r.Body = streamedBody{joinedBody{io.MultiReader(bytes.NewReader(content), rest), rest}}
			return release, errGoesOn
		}
		if len(content) == cap(content) {
			size := min(max(bodyStep, 2*int64(cap(content))), limit+1)
			if r.ContentLength >= 0 {
				size = min(size, r.ContentLength+1) // and one to see the end
			}
			if more := size - int64(cap(content)); who.authenticated && size > bodyStep {
				if err := a.bodies.memory.Take(who.name, more); err != nil {
					return release, a.reject(err, reasonBodyMemory, reasonBodyMemory, retrySoon)
				}
				reserved += more
			}
			content = append(make([]byte, 0, size), content...)
		}
		n, err := source.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF):
			d.setRead(time.Now().Add(requestTimeout))
			r.Body = io.NopCloser(bytes.NewReader(content))
			return release, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			a.metrics.reject(reasonBodyTimeout)
			return release, requestTimedOut()
		}
		return release, bodyError(err)
	}
}

// bodyError is what a client is told whose body cannot be read.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return status.BadRequest("the body of the request cannot be read")
}

// joinedBody is what was read of a body, and the rest of it.
type joinedBody struct {
	io.Reader
	io.Closer
}

// streamedBody is a body that is passed on as it comes.
type streamedBody struct{ io.ReadCloser }

// Read implements io.Reader. It tells a client that is too slow from whoever the
// body is passed on to.
func (b streamedBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = requestTimedOut()
	}
	return n, err
}
