package request

import (
	"context"
	"net/http"
	"strings"
)

type authorizationKey struct{}

// WithAuthorization returns a context that remembers the bearer token of a header,
// which authentication removes, so that the token can be passed to a service that is meant
// to have it. A password is passed to no service.
func WithAuthorization(ctx context.Context, header http.Header) context.Context {
	value := header.Get("Authorization")
	if scheme, _, _ := strings.Cut(value, " "); !strings.EqualFold(scheme, "Bearer") {
		return ctx
	}
	return context.WithValue(ctx, authorizationKey{}, value)
}

// AuthorizationFrom returns the Authorization header with the bearer token a request came
// with, "" when there was none.
func AuthorizationFrom(ctx context.Context) string {
	value, _ := ctx.Value(authorizationKey{}).(string)
	return value
}
