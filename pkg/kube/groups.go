package kube

import (
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	utilcache "k8s.io/apimachinery/pkg/util/cache"
)

const (
	// maxGroupBytes bounds the headers that tell Kubernetes the groups of a user. A
	// request whose header has more than 1 MiB, or since Kubernetes 1.37 more than 16,384
	// values, is refused by kube-apiserver with 431, whatever it is about. Proxies in
	// front of it may accept less.
	maxGroupBytes = 256 << 10
	// groupOverhead is what a group takes beside its name: the name of the header, and
	// what HTTP/2 counts for each (RFC 9113, 6.5.2).
	groupOverhead = len("Impersonate-Group") + 32
	// omissionLogged is how often it is logged that groups of a user are not sent.
	omissionLogged = 10 * time.Minute
	loggedUsers    = 1024
)

var (
	omissions     atomic.Uint64
	omissionUsers = utilcache.NewLRUExpireCache(loggedUsers)
)

// GroupOmissions returns how often groups of a user were left out of a header, since the
// process started.
func GroupOmissions() uint64 { return omissions.Load() }

// SendableGroups returns the groups of a user that Kubernetes and extensions are told of:
// the first ones, as many as fit into a header. What the user may do is decided before, by all groups.
// Names that no header can have are left out, too.
func SendableGroups(name string, groups []string) []string {
	size, fits := 0, true
	for _, group := range groups {
		size += groupOverhead + len(group)
		fits = fits && size <= maxGroupBytes && isHeaderValue(group)
	}
	if fits {
		return groups
	}
	// The groups of Kubernetes are few, and follow from the credentials.
	size = 0
	for _, group := range groups {
		if hasPrefix(group, "system:") {
			size += groupOverhead + len(group)
		}
	}
	var sent []string
	for _, group := range groups {
		next := size + groupOverhead + len(group)
		switch {
		case hasPrefix(group, "system:"):
			sent = append(sent, group)
		case next <= maxGroupBytes && isHeaderValue(group):
			sent, size = append(sent, group), next
		}
	}
	omissions.Add(1)
	if _, logged := omissionUsers.Get(name); !logged {
		omissionUsers.Add(name, true, omissionLogged)
		slog.Warn("Left groups of a user out of requests, more do not fit into a header", "user", name, "groups", len(groups), "sent", len(sent))
	}
	return sent
}

// isHeaderValue reports whether a text can be the value of a header (RFC 9110, 5.5).
func isHeaderValue(text string) bool {
	return !strings.ContainsFunc(text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}
