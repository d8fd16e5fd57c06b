package request

import "context"

type addressKey struct{}

// WithAddress returns a context that carries the address a request comes from.
func WithAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, addressKey{}, address)
}

// Address returns the address a request comes from, "" outside of one.
func Address(ctx context.Context) string {
	address, _ := ctx.Value(addressKey{}).(string)
	return address
}
