package query

import (
	"net/url"
	"strconv"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// parseWatch reads the parameters of a watch and of versions, with the meaning
// Kubernetes gives them.
func (q *Query) parseWatch(values url.Values) error {
	given := func(key string) (bool, error) {
		if !values.Has(key) {
			return false, nil
		}
		return boolean(key, last(values, key))
	}
	// As the verb of the request is found out: what is authorized is what is done.
	value := values.Get(Watch)
	watch := values.Has(Watch) && value != "false" && value != "0"
	match, stated := last(values, ResourceVersionMatch), last(values, ResourceVersion)
	switch match {
	case "":
	case MatchExact, MatchNotOlderThan:
		if stated == "" && !watch {
			return status.BadRequest("%s needs a %s", ResourceVersionMatch, ResourceVersion)
		}
	default:
		return status.BadRequest("%s must be %s or %s, not %q", ResourceVersionMatch, MatchExact, MatchNotOlderThan, match)
	}
	q.Exact = match == MatchExact
	if !watch {
		return nil
	}
	var err error
	w := &Watched{Resumed: stated != "" && stated != "0"}
	if w.Bookmarks, err = given(AllowWatchBookmarks); err != nil {
		return err
	}
	if w.Initial, err = given(SendInitialEvents); err != nil {
		return err
	}
	if w.Initial && match != MatchNotOlderThan {
		return status.BadRequest("%s needs %s=%s", SendInitialEvents, ResourceVersionMatch, MatchNotOlderThan)
	}
	if q.Exact {
		return status.BadRequest("a watch cannot be of exactly one version")
	}
	if seconds := last(values, TimeoutSeconds); seconds != "" {
		n, err := integer(TimeoutSeconds, seconds, 0)
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

// last is the value of a parameter, the last one when it is given twice.
func last(values url.Values, key string) string {
	if all := values[key]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

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
