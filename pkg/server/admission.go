package server

import (
	"errors"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Why a request is rejected, as the metric of rejections tells it.
const (
	reasonInFlight        = "in_flight"
	reasonUserInFlight    = "user_in_flight"
	reasonUnauthenticated = "unauthenticated_in_flight"
	reasonLongRunning     = "long_running"
	reasonUserLongRunning = "user_long_running"
	reasonBodyMemory      = "body_memory"
	reasonBodyTimeout     = "body_timeout"
	reasonConnections     = "connections"
	reasonUnread          = "unread_answers"
)

// When a client may find that there is room again.
const (
	retrySoon  = time.Second
	retryLater = 10 * time.Second
)

// caller is what a request is accounted to: a user, or the address of a client that
// has not authenticated.
type caller struct {
	name          string
	authenticated bool
	// part is the workspace of a service account, which has a part of what name has; empty
	// for all others.
	part string
}

// callerOf returns the caller of a request; who is nil where nobody is
// authenticated by the filters. Visitors without an account are as good as
// anonymous.
func (f *filters) callerOf(r *http.Request, who user.Info) caller {
	if authz.IsAnonymous(who) || who.GetName() == identity.PreRegistration {
		return caller{name: identity.Network(request.ClientAddress(r))}
	}
	c := caller{name: kube.Holder(who), authenticated: true}
	if c.name != serviceaccount.AllServiceAccountsGroup {
		return c
	}
	c.part, _, _ = serviceaccount.SplitUsername(who.GetName())
	if f.ownerOf == nil {
		return c
	}
	// Whoever creates workspaces and projects can make any number of them, and of accounts
	// in them: these have one share, and no part of that of others.
	if creator, home := f.ownerOf(r.Context(), c.part); home != "" {
		c.part = home
		if creator != "" {
			c.name += " of " + creator
		}
	}
	return c
}

// holder is whom the work for a request counts for, see turns.WithHolder.
func (c caller) holder() string {
	if c.authenticated {
		return c.name
	}
	return "address " + c.name // which no user is called
}

// admission decides which requests are served now. Each user has a share of all
// places, and so have all clients together that are not authenticated.
type admission struct {
	inFlight *quota.Quota // by user; all unauthenticated clients are one
	// parts and longParts are what the service accounts of a workspace have of the places
	// of those of all workspaces of its creator.
	parts, longParts *quota.Parts
	unauthenticated  *quota.Quota // by address
	longRunning      *quota.Quota // by user; all unauthenticated clients are one
	// unauthenticatedLongRunning are the long-running requests of unauthenticated
	// clients, by address.
	unauthenticatedLongRunning *quota.Quota
	bodies                     *bodyReader
	drains                     *quota.Quota // of refused bodies, by address
	unread                     *unreadAnswers
	metrics                    *metrics
}

// unauthenticatedHolder is no name of a user.
const unauthenticatedHolder = ""

func newAdmission(c *config.Server) *admission { // metrics follow, which show its numbers
	share := c.MaxUnauthenticatedInFlight
	longShare := int64(c.MaxLongRunningPerUser)
	return &admission{
		inFlight:                   quota.New(int64(c.MaxRequestsInFlight), int64(c.MaxRequestsInFlightPerUser)),
		parts:                      quota.NewParts(int64(c.MaxRequestsInFlightPerUser)),
		longParts:                  quota.NewParts(longShare),
		unauthenticated:            quota.New(int64(share), int64((share+1)/2)),
		longRunning:                quota.New(int64(c.MaxLongRunning), longShare),
		unauthenticatedLongRunning: quota.New(longShare, (longShare+1)/2),
		bodies:                     newBodyReader(c),
		drains:                     newDrains(),
		unread:                     newUnreadAnswers(),
	}
}

// admit takes a place for a request that is answered at once. It is held until
// release is called.
func (a *admission) admit(who caller) (release func(), err error) {
	if who.authenticated {
		return a.take(who, a.inFlight, a.parts, reasonUserInFlight, reasonInFlight, retrySoon)
	}
	if err := a.unauthenticated.Take(who.name, 1); err != nil {
		return nil, a.reject(err, reasonUnauthenticated, reasonUnauthenticated, retrySoon)
	}
	if err := a.inFlight.Take(unauthenticatedHolder, 1); err != nil {
		a.unauthenticated.Release(who.name, 1)
		return nil, a.reject(err, reasonUnauthenticated, reasonInFlight, retrySoon)
	}
	return func() {
		a.inFlight.Release(unauthenticatedHolder, 1)
		a.unauthenticated.Release(who.name, 1)
	}, nil
}

// take takes a place of a user, or of a part of one.
func (a *admission) take(who caller, places *quota.Quota, parts *quota.Parts, share, total string, after time.Duration) (release func(), err error) {
	if who.part != "" {
		if err := parts.Take(who.name, who.part, 1); err != nil {
			return nil, a.reject(quota.ErrShare, share, total, after)
		}
	}
	if err := places.Take(who.name, 1); err != nil {
		if who.part != "" {
			parts.Release(who.name, who.part, 1)
		}
		return nil, a.reject(err, share, total, after)
	}
	return func() {
		places.Release(who.name, 1)
		if who.part != "" {
			parts.Release(who.name, who.part, 1)
		}
	}, nil
}

// admitLongRunning takes a place for a watch, a log or an upgraded connection.
func (a *admission) admitLongRunning(who caller) (release func(), err error) {
	if who.authenticated {
		return a.take(who, a.longRunning, a.longParts, reasonUserLongRunning, reasonLongRunning, retryLater)
	}
	if err := a.unauthenticatedLongRunning.Take(who.name, 1); err != nil {
		return nil, a.reject(err, reasonUserLongRunning, reasonLongRunning, retryLater)
	}
	if err := a.longRunning.Take(unauthenticatedHolder, 1); err != nil {
		a.unauthenticatedLongRunning.Release(who.name, 1)
		return nil, a.reject(err, reasonUserLongRunning, reasonLongRunning, retryLater)
	}
	return func() {
		a.longRunning.Release(unauthenticatedHolder, 1)
		a.unauthenticatedLongRunning.Release(who.name, 1)
	}, nil
}

// reject counts a rejection and returns its status.
func (a *admission) reject(err error, share, total string, after time.Duration) error {
	if errors.Is(err, quota.ErrShare) {
		a.metrics.reject(share)
		return status.TooManyRequests(after, "you have as many requests open as one client may have at the same time, try again later")
	}
	a.metrics.reject(total)
	return tooMany(after)
}

func tooMany(after time.Duration) error {
	return status.TooManyRequests(after, "the server serves as many requests as it can at the moment")
}
