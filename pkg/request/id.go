package request

import "context"

type idKey struct{}

// WithID returns a context that carries the ID of a request, by which log lines
// about it are found.
func WithID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// ID returns the ID of the request, "" outside of one.
func ID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}
