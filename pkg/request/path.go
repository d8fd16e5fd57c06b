package request

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// WithoutTrailingSlash returns the request with the path that was described: routes
// are found by it, and kube-apiserver gets it. Below a proxy subresource, and outside
// of the APIs, a trailing slash is part of the path.
func (i *Info) WithoutTrailingSlash(r *http.Request) *http.Request {
	if len(i.Path) == len(r.URL.Path) {
		return r
	}
	trimmed := *r.URL
	trimmed.Path, trimmed.RawPath = i.Path, strings.TrimSuffix(trimmed.RawPath, "/")
	r = r.WithContext(r.Context())
	r.URL = &trimmed
	return r
}

// splitPath returns the segments of a path that can be read in one way only,
// up to the proxy subresource, and whether there is one.
func splitPath(u *url.URL) (segments []string, below bool, err error) {
	raw := strings.TrimPrefix(u.EscapedPath(), "/")
	if trimmed := strings.TrimSuffix(raw, "/"); trimmed != "" {
		raw = trimmed // as kube-apiserver, one trailing slash changes nothing
	} else {
		return nil, false, nil
	}
	segments = strings.Split(raw, "/")
	for n, segment := range segments {
		if segments[n], err = name(segment); err != nil {
			return nil, false, err
		}
		if proxied(segments[:n+1]) {
			// What follows is passed on as it is, so it must mean the same to
			// everybody on the way: nobody may climb out of it.
			return segments[:n+1], true, relative(segments[n+1:])
		}
	}
	return segments, false, nil
}

// name is a segment of a path that means nothing else to anybody.
func name(segment string) (string, error) {
	decoded, err := url.PathUnescape(segment)
	switch {
	case err != nil:
		return "", status.BadRequest("the path is not validly encoded")
	case decoded == "", decoded == ".", decoded == "..":
		return "", status.BadRequest("the path has an empty or relative segment")
	case strings.ContainsAny(decoded, "/\\\x00"):
		return "", status.BadRequest("the path has a segment with a slash in it")
	}
	return decoded, nil
}

// proxied reports whether a path ends in the proxy subresource of Kubernetes.
func proxied(segments []string) bool {
	if len(segments) < 5 || segments[len(segments)-1] != "proxy" || segments[1] == "clusters" {
		return false
	}
	rest := segments[1:] // version, resource, name, proxy
	switch segments[0] {
	case "api":
	case "apis":
		rest = rest[1:]
	default:
		return false
	}
	if len(rest) == 6 && rest[1] == "namespaces" && !namespaceSubresources[rest[3]] {
		return true
	}
	return len(rest) == 4 && rest[1] != "namespaces" && rest[1] != "watch" && rest[1] != "proxy"
}

// relative refuses segments that lead upwards, however they are written.
func relative(segments []string) error {
	for _, segment := range segments {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return status.BadRequest("the path is not validly encoded")
		}
		for part := range strings.FieldsFuncSeq(decoded, func(c rune) bool { return c == '/' || c == '\\' }) {
			if part == "." || part == ".." {
				return status.BadRequest("the path has a relative segment")
			}
		}
	}
	return nil
}
