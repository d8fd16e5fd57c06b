package request

import (
	"context"
	"net/http"
	"strings"
)

type authorizationKey struct{}

// WithAuthorization returns a request that remembers the bearer token in its header,
// which authentication removes, so that the token can be passed to a service that is meant
// to have it. A password is passed to no service.
func WithAuthorization(r *http.Request) *http.Request {
	value := r.Header.Get("Authorization")
	if scheme, _, _ := strings.Cut(value, " "); !strings.EqualFold(scheme, "Bearer") {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), authorizationKey{}, value))
}

// AuthorizationFrom returns the Authorization header with the bearer token a request came
// with, "" when there was none.
func AuthorizationFrom(ctx context.Context) string {
	value, _ := ctx.Value(authorizationKey{}).(string)
	return value
}
