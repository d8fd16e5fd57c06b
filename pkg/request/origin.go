package request

import "context"

type (
	originKey struct{}
	infoKey   struct{}
)

// Origin is what is known of a request before anybody is asked who sends it.
type Origin struct {
	// ID is the ID of the request, by which log lines about it are found.
	ID string
	// Address is the address the request comes from, without a port.
	Address string
	// Authorization are the credentials the request comes with.
	Authorization Authorization
}

// described is a context with all that the filters know of a request, in one piece:
// every request has one.
type described struct {
	context.Context
	origin Origin
	info   *Info
}

func (d *described) Value(key any) any {
	switch key.(type) {
	case originKey:
		return &d.origin
	case infoKey:
		if d.info != nil {
			return d.info
		}
	}
	return d.Context.Value(key)
}

// NewContext returns a context that carries where a request comes from and, unless it is
// nil, its description.
func NewContext(ctx context.Context, origin Origin, info *Info) context.Context {
	return &described{Context: ctx, origin: origin, info: info}
}

// WithInfo returns a context that carries another description of the request.
func WithInfo(ctx context.Context, info *Info) context.Context {
	return context.WithValue(ctx, infoKey{}, info)
}

// InfoFrom returns the description of the request, nil when it has none.
func InfoFrom(ctx context.Context) *Info {
	info, _ := ctx.Value(infoKey{}).(*Info)
	return info
}

// originOf returns the origin of the request, an empty one outside of one.
func originOf(ctx context.Context) *Origin {
	if origin, found := ctx.Value(originKey{}).(*Origin); found {
		return origin
	}
	return &Origin{}
}

// ID returns the ID of the request, "" outside of one.
func ID(ctx context.Context) string { return originOf(ctx).ID }

// Address returns the address a request comes from, "" outside of one.
func Address(ctx context.Context) string { return originOf(ctx).Address }

// AuthorizationFrom returns the Authorization header with the bearer token a request came
// with, "" when there was none.
func AuthorizationFrom(ctx context.Context) string { return originOf(ctx).Authorization.header }

// TokenFrom returns the bearer token a request came with, in the Authorization header or
// among the subprotocols of a WebSocket, "" when there was none.
func TokenFrom(ctx context.Context) string { return originOf(ctx).Authorization.token }
