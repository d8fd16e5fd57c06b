package request

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
)

type authorizationKey struct{}

// authorization is what is remembered of the credentials of a request.
type authorization struct{ header, token string }

// tokenProtocol begins the subprotocol of a WebSocket that is a bearer token, which pages
// cannot send in a header.
const tokenProtocol = "base64url.bearer.authorization.k8s.io."

// WithAuthorization returns a context that remembers the bearer token of a header,
// which authentication removes, so that the token can be passed to a service that is meant
// to have it, and checked again. A password is remembered for neither.
func WithAuthorization(ctx context.Context, header http.Header) context.Context {
	value := header.Get("Authorization")
	scheme, token, _ := strings.Cut(value, " ")
	if strings.EqualFold(scheme, "Bearer") {
		return context.WithValue(ctx, authorizationKey{}, &authorization{header: value, token: strings.TrimSpace(token)})
	}
	if value != "" {
		return ctx
	}
	if token := webSocketToken(header); token != "" {
		return context.WithValue(ctx, authorizationKey{}, &authorization{token: token})
	}
	return ctx
}

// webSocketToken returns the token among the subprotocols of a WebSocket, "" for none.
func webSocketToken(header http.Header) string {
	for _, value := range header["Sec-Websocket-Protocol"] {
		for protocol := range strings.SplitSeq(value, ",") {
			encoded, found := strings.CutPrefix(strings.TrimSpace(protocol), tokenProtocol)
			if !found {
				continue
			}
			if token, err := base64.RawURLEncoding.DecodeString(encoded); err == nil {
				return string(token)
			}
		}
	}
	return ""
}

// AuthorizationFrom returns the Authorization header with the bearer token a request came
// with, "" when there was none.
func AuthorizationFrom(ctx context.Context) string {
	if remembered, found := ctx.Value(authorizationKey{}).(*authorization); found {
		return remembered.header
	}
	return ""
}

// TokenFrom returns the bearer token a request came with, in the Authorization header or
// among the subprotocols of a WebSocket, "" when there was none.
func TokenFrom(ctx context.Context) string {
	if remembered, found := ctx.Value(authorizationKey{}).(*authorization); found {
		return remembered.token
	}
	return ""
}
