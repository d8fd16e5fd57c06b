package request

import (
	"net/http"
	"testing"
)

// TestTokenFrom: a token is remembered however it was sent, and a password never.
func TestTokenFrom(t *testing.T) {
	const protocol = tokenProtocol + "dG9rZW4" // "token"
	for name, test := range map[string]struct {
		header        http.Header
		authorization string
		token         string
	}{
		"nothing":             {http.Header{}, "", ""},
		"a token":             {http.Header{"Authorization": {"Bearer token"}}, "Bearer token", "token"},
		"in small letters":    {http.Header{"Authorization": {"bearer token"}}, "bearer token", "token"},
		"a password":          {http.Header{"Authorization": {"Basic YTpi"}}, "", ""},
		"of a WebSocket":      {http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io, " + protocol}}, "", "token"},
		"beside a password":   {http.Header{"Authorization": {"Basic YTpi"}, "Sec-Websocket-Protocol": {protocol}}, "", ""},
		"other protocols":     {http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io"}}, "", ""},
		"no base64":           {http.Header{"Sec-Websocket-Protocol": {tokenProtocol + "!"}}, "", ""},
		"in another protocol": {http.Header{"Sec-Websocket-Protocol": {"v5.channel.k8s.io", protocol}}, "", "token"},
	} {
		ctx := NewContext(t.Context(), Origin{Authorization: ParseAuthorization(test.header)}, nil)
		if authorization, token := AuthorizationFrom(ctx), TokenFrom(ctx); authorization != test.authorization || token != test.token {
			t.Errorf("%s: %q, %q", name, authorization, token)
		}
	}
}
