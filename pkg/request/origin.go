package request

import "context"

type originKey struct{}

// Origin is what is known of a request before anybody is asked who sends it.
type Origin struct {
	// ID is the ID of the request, by which log lines about it are found.
	ID string
	// Address is the address the request comes from, without a port.
	Address string
}

// WithOrigin returns a context that carries the ID of a request and where it comes from.
func WithOrigin(ctx context.Context, origin Origin) context.Context {
	return context.WithValue(ctx, originKey{}, origin)
}

// ID returns the ID of the request, "" outside of one.
func ID(ctx context.Context) string {
	origin, _ := ctx.Value(originKey{}).(Origin)
	return origin.ID
}

// Address returns the address a request comes from, "" outside of one.
func Address(ctx context.Context) string {
	origin, _ := ctx.Value(originKey{}).(Origin)
	return origin.Address
}
