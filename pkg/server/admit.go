package server

import (
	"errors"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// admit takes a place for a request, and reads its body before that: a client that
// sends slowly holds no place. What lasts has places of its own, and so have bodies
// for services behind this server that are too large to be read.
func (f *filters) admit(w http.ResponseWriter, r *http.Request, info *request.Info, c *call) (release func(), err error) {
	enter := f.admission.admit
	if c.long {
		enter = f.admission.admitLongRunning
	}
	free := func() {}
	switch {
	case exempt(info.Path):
		return free, nil
	case !c.deadlines.reads:
		return enter(c.caller)
	case c.delegated:
		var whole bool
		if free, whole, err = f.admission.readAhead(w, r, c); err == nil && !whole {
			enter = f.admission.admitLongRunning
		}
	case !c.long:
		free, err = f.admission.readBody(w, r, c.caller, c.deadlines)
	case info.Kubernetes && f.readsBody != nil && f.readsBody(r, info):
		// A subresource that lasts does not make its body last.
		c.deadlines.setRead(time.Now().Add(requestTimeout))
		free, err = f.admission.readBody(w, r, c.caller, c.deadlines)
	}
	if err != nil {
		free()
		return nil, err
	}
	leave, err := enter(c.caller)
	if err != nil {
		free()
		return nil, err
	}
	return func() { leave(); free() }, nil
}

// decidedFor is how long a decision about a request holds while its body arrives.
const decidedFor = time.Second

// confirm decides again about a request whose body took long to arrive, and reports whether
// it may still be made: else a stolen session would outlast its end by a body that is sent
// slowly. It answers the others.
func (f *filters) confirm(w http.ResponseWriter, r *http.Request, c *call) bool {
	if f.stillAllowed == nil || !c.caller.authenticated {
		return true
	}
	err := f.stillAllowed(r)
	var carried apierrors.APIStatus
	switch {
	case err == nil:
		return true
	case errors.As(err, &carried):
		status.Write(w, r, err)
	default:
		refuse(w, r, err)
	}
	return false
}
