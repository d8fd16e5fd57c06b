package kubeproxy

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// An inspection keeps the body of a request, the present object and the outcome of a
// dry run in memory, each of a few MiB at most: this many at once, and of one user.
const (
	maxInspections        = 16
	maxInspectionsPerUser = 4
	// inspectionWait bounds how long a request waits for its inspection.
	inspectionWait = 10 * time.Second
)

// ReadsBody reports whether the proxy reads the whole body of a request before it
// forwards the request, so that the caller can bound the memory and the time for it.
// The user is that of the context.
func (p *Proxy) ReadsBody(r *http.Request, info *request.Info) bool {
	who, found := kuberequest.UserFrom(r.Context())
	if !found {
		return false
	}
	if p.guards(info) || takesDeleteOptions(info) && r.ContentLength != 0 {
		return true
	}
	denied, err := p.creationDenied(r, info, who)
	return err == nil && denied != nil
}

// readBody reads the body of a request, which has at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	source := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength < 0 || r.ContentLength > maxBody {
		return io.ReadAll(source)
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(source, body); err != nil {
		return nil, err
	}
	return body, nil
}

// inspections bounds how many requests are inspected at once. Each user has a share.
type inspections struct {
	slots chan struct{}
	share int
	wait  time.Duration

	mu    sync.Mutex
	users map[string]*userInspections
}

// userInspections are the slots of a user.
type userInspections struct {
	slots   chan struct{}
	holders int // those that wait included
}

func newInspections(total, share int, wait time.Duration) *inspections {
	return &inspections{slots: make(chan struct{}, total), share: share, wait: wait, users: make(map[string]*userInspections)}
}

// acquire waits for a slot. It fails with status 429 when there is none in time. The
// returned function gives the slot back and may be called more than once.
func (i *inspections) acquire(ctx context.Context, who user.Info) (release func(), err error) {
	if impersonated, ok := who.(*kube.Another); ok {
		who = impersonated.By
	}
	name := who.GetName()
	ctx, cancel := context.WithTimeout(ctx, i.wait)
	defer cancel()
	own := i.enter(name)
	for n, slots := range []chan struct{}{own.slots, i.slots} {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			if n > 0 {
				<-own.slots
			}
			i.leave(name)
			return nil, status.TooManyRequests(time.Second, "the server checks as many writes as it can at the moment")
		}
	}
	return sync.OnceFunc(func() {
		<-i.slots
		<-own.slots
		i.leave(name)
	}), nil
}

func (i *inspections) enter(name string) *userInspections {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := i.users[name]
	if own == nil {
		own = &userInspections{slots: make(chan struct{}, i.share)}
		i.users[name] = own
	}
	own.holders++
	return own
}

func (i *inspections) leave(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	own := i.users[name]
	if own.holders--; own.holders == 0 {
		delete(i.users, name)
	}
}
