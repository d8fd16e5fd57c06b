package request

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

var (
	encodedSlash = regexp.MustCompile(`%2[fF]`)
	slashes      = regexp.MustCompile(`/{2,}`)
)

// IsOpaque reports whether a path has encoded slashes or empty segments, which
// servers read in different ways.
func IsOpaque(u *url.URL) bool {
	raw := u.EscapedPath()
	return encodedSlash.MatchString(raw) || strings.Contains(raw, "//")
}

// ParseOpaque describes a request whose path has encoded slashes or empty segments,
// and which a service behind this server is to get as it is. Parse refuses it. Since
// it is unknown how the service reads such a path, the description has both Readings,
// and either has to be permitted: the path as it is written, and the one that is left
// when it is decoded and empty segments are dropped. Relative segments stay refused.
func ParseOpaque(r *http.Request) (*Info, error) {
	raw := r.URL.EscapedPath()
	decoded, err := url.PathUnescape(raw)
	if err != nil {
		return nil, status.BadRequest("the path is not validly encoded")
	}
	// The encoded slash stays what it is in the text: a part of its segment.
	written := slashes.ReplaceAllString(encodedSlash.ReplaceAllString(raw, "%252F"), "/")
	literal, err := url.PathUnescape(written)
	if err != nil {
		return nil, status.BadRequest("the path is not validly encoded")
	}
	asWritten, err := parseReading(r, &url.URL{Path: literal, RawPath: written, RawQuery: r.URL.RawQuery})
	if err != nil {
		return nil, err
	}
	asDecoded, err := parseReading(r, &url.URL{Path: slashes.ReplaceAllString(decoded, "/"), RawQuery: r.URL.RawQuery})
	if err != nil {
		return nil, err
	}
	info := *asWritten
	info.Path = r.URL.Path
	asWritten.Path = raw
	info.Readings = []*Info{asWritten, asDecoded}
	return &info, nil
}

func parseReading(r *http.Request, path *url.URL) (*Info, error) {
	reading := *r
	reading.URL = path
	info, err := Parse(&reading)
	switch {
	case err != nil:
		return nil, err
	case info.Kubernetes, info.Cluster != "", info.DevOps != "":
		return nil, status.BadRequest("the path has an empty segment or one with a slash in it")
	}
	return info, nil
}
