package request

import (
	"encoding/base64"
	"net/http"
	"strings"
)

// Authorization is what is remembered of the credentials of a request. The zero value are
// none.
type Authorization struct{ header, token string }

// tokenProtocol begins the subprotocol of a WebSocket that is a bearer token, which pages
// cannot send in a header.
const tokenProtocol = "base64url.bearer.authorization.k8s.io."

// ParseAuthorization returns the bearer token of a header, which authentication removes, so
// that the token can be passed to a service that is meant to have it, and checked again. A
// password is remembered for neither.
func ParseAuthorization(header http.Header) Authorization {
	value := header.Get("Authorization")
	scheme, token, _ := strings.Cut(value, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return Authorization{header: value, token: strings.TrimSpace(token)}
	case value != "":
		return Authorization{}
	}
	return Authorization{token: webSocketToken(header)}
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
