package secondlock

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

const (
	// young is how long Kubernetes may not know yet of rights that were given: mirrors are
	// written when they change, and each kube-apiserver learns of that by itself.
	young = 10 * time.Second
	// A request that is refused meanwhile is tried again after firstRetry, twice as long
	// after each further refusal, and for maxRetry in all.
	firstRetry = 20 * time.Millisecond
	maxRetry   = time.Second
	// maxReplayed bounds the bodies that are kept to be sent again, in bytes.
	maxReplayed = 1 << 20
	// maxRefusal bounds what is read of an answer to find out who refuses, in bytes.
	maxRefusal = 64 << 10
)

// Patient returns a transport that tries requests again which Kubernetes refuses while it
// may not know yet of the rights of who sends them.
func (l *Lock) Patient(next http.RoundTripper) http.RoundTripper {
	return &patient{next: next, lock: l}
}

type patient struct {
	next http.RoundTripper
	lock *Lock
}

// RoundTrip implements http.RoundTripper.
func (t *patient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	who, found := kuberequest.UserFrom(ctx)
	identity, decides := kube.IdentityFrom(ctx)
	if !found || who == nil || !decides || identity.Own || !t.lock.isYoung(ctx, who) {
		return t.next.RoundTrip(r)
	}
	r, err := replayable(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, err := t.next.RoundTrip(r)
	for wait, until := firstRetry, t.lock.Now().Add(maxRetry); err == nil && answer.StatusCode == http.StatusForbidden && repeats(r); wait *= 2 {
		_, refused, err := refusalByRoles(answer)
		if err != nil {
			return nil, err
		}
		if !refused || t.lock.Now().Add(wait).After(until) || !t.lock.isYoung(ctx, who) {
			return answer, nil
		}
		_ = answer.Body.Close()
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
		again, err := repeated(ctx, r)
		if err != nil {
			return nil, err
		}
		if answer, err = t.next.RoundTrip(again); err != nil {
			return nil, err
		}
	}
	return answer, err
}

func (l *Lock) isYoung(ctx context.Context, who user.Info) bool {
	changed, err := l.Rights.ChangedAt(ctx, who)
	return err == nil && l.Now().Sub(changed) < young
}

// replayable returns a request whose body can be sent again, if it is small.
func replayable(ctx context.Context, r *http.Request) (*http.Request, error) {
	if repeats(r) || r.ContentLength <= 0 || r.ContentLength > maxReplayed {
		return r, nil
	}
	body := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(r.Body, body); err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	r = r.Clone(ctx)
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body, _ = r.GetBody()
	return r, nil
}

// repeats reports whether a request can be sent again.
func repeats(r *http.Request) bool { return r.Body == nil || r.Body == http.NoBody || r.GetBody != nil }

// repeated returns a request that can be sent again, to be sent once more.
func repeated(ctx context.Context, r *http.Request) (*http.Request, error) {
	again := r.Clone(ctx)
	if r.GetBody == nil {
		return again, nil
	}
	var err error
	again.Body, err = r.GetBody()
	return again, err
}

// refusalByRoles returns the beginning of an answer and whether it is a refusal by
// Kubernetes' roles: not by admission, and not of this server. The body can be read as before.
func refusalByRoles(answer *http.Response) ([]byte, bool, error) {
	start, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return nil, false, err
	}
	answer.Body = &replayed{Reader: io.MultiReader(bytes.NewReader(start), answer.Body), Closer: answer.Body}
	return start, bytes.Contains(start, []byte(`" cannot `)) && !bytes.Contains(start, []byte(`" cannot impersonate`)) &&
		!bytes.Contains(start, []byte("ValidatingAdmissionPolicy '")), nil
}

// replayed is a body of which the start has been read.
type replayed struct {
	io.Reader
	io.Closer
}
