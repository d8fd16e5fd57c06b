package kubeproxy

import (
	"io"
	"net/http"
	"time"

	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

// An inspection keeps the body of a request, the present object and the outcome of a
// dry run in memory, each of a few MiB at most: this many at once, and of one user.
const (
	maxInspections        = 16
	maxInspectionsPerUser = 4
	// inspectionWait bounds how long a request waits for its inspection.
	inspectionWait = 10 * time.Second
)

// Why a request that found no turn is refused.
const (
	tooManyWrites = "the server checks as many writes as it can at the moment"
	tooManyLists  = "the server filters as many lists as it can at the moment"
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
	return err != nil || denied != nil
}

// readBody reads the body of a request, which has at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	source := http.MaxBytesReader(w, r.Body, limit)
	if r.ContentLength < 0 || r.ContentLength > limit {
		return io.ReadAll(source)
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(source, body); err != nil {
		return nil, err
	}
	return body, nil
}
