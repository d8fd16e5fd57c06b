package oauthclient

import (
	"net/url"
	"slices"
)

// RedirectURI returns where an answer goes that a client asked to be sent to a
// URI, and whether that is allowed: a registered one, to the letter, or the
// first of them if the client names none. Of a registered loopback address
// without a port every port is, since programs on a desktop get any (RFC 8252
// §7.3). KubeSphere's "*", which allowed all, allows none.
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
	anyPort := *uri
	anyPort.Host = uri.Hostname()
	if uri.Hostname() == "::1" {
		anyPort.Host = "[::1]"
	}
	return slices.Contains(registered, anyPort.String())
}

func loopback(uri *url.URL) bool {
	switch uri.Hostname() {
	case "127.0.0.1", "::1", "localhost":
		return true
	}
	return false
}
