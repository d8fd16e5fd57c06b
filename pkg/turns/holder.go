package turns

import "context"

type holderKey struct{}

// WithHolder returns a context whose work counts for a holder: a user, or the address of a
// client that has not authenticated.
func WithHolder(ctx context.Context, holder string) context.Context {
	return &held{Context: ctx, holder: holder}
}

// held is a context of a holder, in one piece: every request has one.
type held struct {
	context.Context
	holder string
}

func (h *held) Value(key any) any {
	if _, asked := key.(holderKey); asked {
		return &h.holder
	}
	return h.Context.Value(key)
}

// HolderFrom returns the holder of a context, "" for work of nobody.
func HolderFrom(ctx context.Context) string {
	if holder, found := ctx.Value(holderKey{}).(*string); found {
		return *holder
	}
	return ""
}
