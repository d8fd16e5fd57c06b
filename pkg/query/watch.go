package query

import (
	"strconv"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// parseWatch reads the parameters of a watch and of versions, with the meaning
// Kubernetes gives them.
func (q *Query) parseWatch(p *request.Parameters) error {
	match, stated := p.ResourceVersionMatch, p.ResourceVersion
	switch match {
	case "":
	case MatchExact, MatchNotOlderThan:
		if stated == "" && !p.Watch {
			return status.BadRequest("%s needs a %s", ResourceVersionMatch, ResourceVersion)
		}
	default:
		return status.BadRequest("%s must be %s or %s, not %q", ResourceVersionMatch, MatchExact, MatchNotOlderThan, match)
	}
	q.Exact = match == MatchExact
	if !p.Watch {
		return nil
	}
	w := &Watched{Resumed: stated != "" && stated != "0", Bookmarks: p.AllowWatchBookmarks, Initial: p.SendInitialEvents}
	if w.Initial && match != MatchNotOlderThan {
		return status.BadRequest("%s needs %s=%s", SendInitialEvents, ResourceVersionMatch, MatchNotOlderThan)
	}
	if q.Exact {
		return status.BadRequest("a watch cannot be of exactly one version")
	}
	if p.TimeoutSeconds != "" {
		n, err := integer(TimeoutSeconds, p.TimeoutSeconds, 0)
		if err != nil {
			return err
		}
		w.Timeout = time.Duration(min(n, maxTimeoutSeconds)) * time.Second
	}
	q.Watch = w
	return nil
}

// maxTimeoutSeconds is a day: a longer watch is the same to everybody.
const maxTimeoutSeconds = 24 * 60 * 60

// version reads a version of Kubernetes. They are opaque to clients but
// comparable numbers to servers (KEP-5504).
func version(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, status.BadRequest("%s must be a version an earlier answer gave, not %q", ResourceVersion, text)
	}
	return n, nil
}
