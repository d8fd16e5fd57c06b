package server

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/router"
)

// call is what the chain learns of a request on its way down.
type call struct {
	id   string // of the request
	user string
	// refusal is why credentials were not accepted.
	refusal error
	long    bool // a watch, a log, a file or an upgraded connection: it may take any time
	file    bool // its handler bounds what it reads
	// delegated is whether a service behind this server serves it.
	delegated bool
	caller    caller
	deadlines deadlines
	body      *arrivingBody // nil for none
	pattern   string        // of the route, so that metrics have no label made of a path
	// match is the operation that serves it; nil for none.
	match *router.Match
	next  http.Handler
	// request is the one that came, for who is accounted for it.
	request *http.Request
	// placed is whether it has a place among those that are served. free gives it back
	// before the end; nil for those that hold it.
	placed bool
	free   func()
	probe  bool // which has to be answered whoever does not read
	// answer is counted while it is on its way without a place; nil for none.
	answer *answer
	// recorder is what the answer is written to.
	recorder recorder
}

// holder returns by whom a request is accounted to.
func (c *call) holder() string {
	if c.caller.name == "" {
		c.caller.name = identity.Network(request.ClientAddress(c.request))
	}
	return c.caller.name
}
