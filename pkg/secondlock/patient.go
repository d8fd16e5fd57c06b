package secondlock

import (
	"context"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

const (
	// young is how long Kubernetes may not know yet of rights that were given: mirrors are
	// written when they change, and each kube-apiserver learns of that by itself.
	young = 10 * time.Second
	// What is refused meanwhile is tried again after firstRetry, twice as long after each
	// further refusal, and for maxRetry in all.
	firstRetry = 20 * time.Millisecond
	maxRetry   = time.Second
)

// Patient returns a transport that has patience with Kubernetes while it may not know yet
// of the rights of who sends a request. What changes nothing is tried again when it is
// refused. What changes something is sent once, after Kubernetes was asked whether it would
// permit that: not all that looks like a refusal by Kubernetes' roles is one, and what is
// behind it may have done something before.
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
	if !found || who == nil || !decides || identity.Own {
		return t.next.RoundTrip(r)
	}
	if !isSafe(r) {
		if t.lock.isYoung(ctx, who) {
			if action := t.lock.actionOf(r); action != nil {
				_, _ = t.lock.awaitsPermission(ctx, who, *action) // Kubernetes says itself what it refuses
			}
		}
		return t.next.RoundTrip(r)
	}
	var until time.Time
	for wait, sent := firstRetry, r; ; wait, sent = wait*2, r.Clone(ctx) {
		answer, err := t.next.RoundTrip(sent)
		if err != nil || answer.StatusCode != http.StatusForbidden || !t.lock.isYoung(ctx, who) {
			return answer, err
		}
		refusal, err := ReadRefusal(answer, who)
		if err != nil {
			return nil, err
		}
		now := t.lock.Now()
		if until.IsZero() {
			until = now.Add(maxRetry)
		}
		if !refusal.ByRoles || now.Add(wait).After(until) {
			return answer, nil
		}
		_ = answer.Body.Close()
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// isSafe reports whether a request can be sent as often as one likes.
func isSafe(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.Body == nil || r.Body == http.NoBody)
}

func (l *Lock) isYoung(ctx context.Context, who user.Info) bool {
	changed, err := l.Rights.ChangedAt(ctx, who)
	return err == nil && l.Now().Sub(changed) < young
}

// awaitsPermission asks Kubernetes whether a user may do something, until it says yes or
// would know of the user's rights.
func (l *Lock) awaitsPermission(ctx context.Context, who user.Info, action authorizationv1.ResourceAttributes) (bool, error) {
	for wait, until := firstRetry, l.Now().Add(maxRetry); ; wait *= 2 {
		permitted, err := l.Review(ctx, action)
		if err != nil || permitted || l.Now().Add(wait).After(until) || !l.isYoung(ctx, who) {
			return permitted, err
		}
		if err := pause(ctx, wait); err != nil {
			return false, err
		}
	}
}

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(wait):
		return nil
	}
}

// parse returns what a request to Kubernetes is about.
func (l *Lock) parse(r *http.Request) (*request.Info, error) {
	if l.Prefix == "" {
		return request.Parse(r)
	}
	path, found := strings.CutPrefix(r.URL.Path, l.Prefix)
	if !found {
		return request.Parse(r)
	}
	stripped := r.Clone(r.Context())
	stripped.URL.Path, stripped.URL.RawPath = path, strings.TrimPrefix(r.URL.RawPath, l.Prefix)
	return request.Parse(stripped)
}

// actionOf returns what a request to Kubernetes does with a resource, nil for anything else.
func (l *Lock) actionOf(r *http.Request) *authorizationv1.ResourceAttributes {
	info, err := l.parse(r)
	if err != nil || !info.IsResourceRequest {
		return nil
	}
	return &authorizationv1.ResourceAttributes{
		Verb: info.Verb, Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource,
		Subresource: info.Subresource, Namespace: info.Namespace, Name: info.Name,
	}
}
