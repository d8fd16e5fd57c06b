package terminal

import (
	"sync"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/quota"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// Limits bound how many terminals are open and files on their way, since pages
// that are left open keep theirs (ks#5156).
type Limits struct {
	perUser, total int

	// spool is the bytes of files that are kept on their way, by user.
	spool *quota.Quota

	mu   sync.Mutex
	open int
	of   map[string]int // by user
}

// NewLimits returns limits for this process.
func NewLimits(perUser, total int) *Limits {
	return &Limits{perUser: perUser, total: total, of: make(map[string]int), spool: quota.New(0, 0)}
}

// Forms with files are kept in temporary files until they have been written to
// their container: so many of the largest ones of a user, and of all.
const (
	formsPerUser = 2
	formsInTotal = 8
)

// Files bounds the temporary files of forms, by the size of the largest one.
func (l *Limits) Files(largest int64) *Limits {
	largest += formOverhead
	l.spool = quota.New(formsInTotal*largest, formsPerUser*largest)
	return l
}

// keep reserves room for the temporary files of a form, until release is called.
func (l *Limits) keep(user string, bytes int64) (release func(), err error) {
	if err := l.spool.Take(user, bytes); err != nil {
		return nil, status.TooManyRequests(later, "there is no room for more files on their way at the moment: send them one after the other, or without a form")
	}
	return func() { l.spool.Release(user, bytes) }, nil
}

// later is when a client may find that somebody has closed a terminal.
const later = 10 * time.Second

// take counts one more of a user, until release is called.
func (l *Limits) take(user string) (release func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.of[user] >= l.perUser:
		return nil, status.TooManyRequests(later, "you have %d terminals open, which is the limit: close one", l.perUser)
	case l.open >= l.total:
		return nil, status.TooManyRequests(later, "the server has as many terminals open as it can")
	}
	l.open++
	l.of[user]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.open--
		if l.of[user]--; l.of[user] == 0 {
			delete(l.of, user)
		}
	}), nil
}

// Open is how many there are now.
func (l *Limits) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.open
}
