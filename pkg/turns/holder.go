package turns

import "context"

type holderKey struct{}

// WithHolder returns a context whose work counts for a holder: a user, or the address of a
// client that has not authenticated.
func WithHolder(ctx context.Context, holder string) context.Context {
	return context.WithValue(ctx, holderKey{}, holder)
}

// HolderFrom returns the holder of a context, "" for work of nobody.
func HolderFrom(ctx context.Context) string {
	holder, _ := ctx.Value(holderKey{}).(string)
	return holder
}
