package oauthclient

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// RedirectURI returns where an answer goes that a client asked to be sent to a
// URI, and whether that is allowed: a registered one, to the letter, or the
// first of them if the client names none. Of a registered loopback address every
// port is, since programs on a desktop get any (RFC 8252 §7.3); of localhost, which
// is a name, only where it is registered without a port. KubeSphere's "*", which
// allowed all, allows none.
//
// Plain HTTP is for loopback only, unless this server is reached without TLS
// itself and so has nothing to lose.
func (c *Client) RedirectURI(wanted string, plain bool) (string, bool) {
	if wanted == "" && len(c.RedirectURIs) == 1 {
		wanted = c.RedirectURIs[0]
	}
	return wanted, permitted(c.RedirectURIs, wanted, plain)
}

// PostLogoutURI reports whether a browser may go to a URI after logging out.
func (c *Client) PostLogoutURI(wanted string, plain bool) bool {
	return permitted(c.PostLogoutRedirectURIs, wanted, plain) || permitted(c.RedirectURIs, wanted, plain)
}

func permitted(registered []string, wanted string, plain bool) bool {
	uri, err := url.Parse(wanted)
	if err != nil || !uri.IsAbs() || uri.Fragment != "" || uri.User != nil || uri.Scheme == "javascript" || uri.Scheme == "data" {
		return false
	}
	if uri.Scheme == "http" && !plain && !loopback(uri) {
		return false
	}
	if slices.Contains(registered, wanted) {
		return true
	}
	if uri.Scheme != "http" || !loopback(uri) || uri.Port() == "" {
		return false
	}
	if port, err := strconv.ParseUint(uri.Port(), 10, 16); err != nil || port == 0 {
		return false
	}
	bare := withoutPort(wanted)
	return slices.ContainsFunc(registered, func(one string) bool {
		return one == bare || uri.Hostname() != "localhost" && hasPort(one) && withoutPort(one) == bare
	})
}

// authority is where the host and the port of a URI begin and end. It compares
// texts: a URI that is parsed and written again may be another one.
func authority(uri string) (start, end int) {
	if start = strings.Index(uri, "://"); start < 0 {
		return 0, 0
	}
	start += len("://")
	if end = strings.IndexAny(uri[start:], "/?#"); end < 0 {
		return start, len(uri)
	}
	return start, start + end
}

// withoutPort is a URI without the port in it.
func withoutPort(uri string) string {
	start, end := authority(uri)
	if colon := strings.LastIndexByte(uri[start:end], ':'); colon > strings.LastIndexByte(uri[start:end], ']') {
		return uri[:start+colon] + uri[end:]
	}
	return uri
}

func hasPort(uri string) bool { return withoutPort(uri) != uri }

func loopback(uri *url.URL) bool {
	switch uri.Hostname() {
	case "127.0.0.1", "::1", "localhost":
		return true
	}
	return false
}
