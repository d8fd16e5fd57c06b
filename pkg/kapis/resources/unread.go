package resources

import (
	"errors"
	"net/http"
	"sync"

	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// Bounds of the objects that were made for watches and are not sent yet, in bytes: of all
// and of one user.
const (
	maxUnread        = 256 << 20
	maxUnreadPerUser = 32 << 20
)

var errUnread = errors.New("the clients of this user do not read what they watch")

// unread counts the bytes that wait for clients to read them. The zero value is ready for
// use.
type unread struct {
	mu    sync.Mutex
	all   int
	users map[string]int
}

// take counts further bytes until release is called. It fails when there are too many,
// unless there are none.
func (u *unread) take(r *http.Request, size int) (release func(), err error) {
	name := turns.HolderFrom(r.Context())
	u.mu.Lock()
	defer u.mu.Unlock()
	if of := u.users[name]; of > 0 && of+size > maxUnreadPerUser || u.all > 0 && u.all+size > maxUnread {
		return nil, errUnread
	}
	if u.users == nil {
		u.users = make(map[string]int)
	}
	u.all += size
	u.users[name] += size
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.all -= size
		if u.users[name] -= size; u.users[name] == 0 {
			delete(u.users, name)
		}
	}, nil
}
