package kubefake

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// DisconnectOnDelete calls disconnect, which ends the context of the request,
// after an object was deleted, and refuses to create one with a context that
// ended. A real client behaves like that when the caller of our API goes away
// between the two.
func DisconnectOnDelete(disconnect func()) interceptor.Funcs {
	return interceptor.Funcs{
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.DeleteOption) error {
			defer disconnect()
			return c.Delete(ctx, o, options...)
		},
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return c.Create(ctx, o, options...)
		},
	}
}
