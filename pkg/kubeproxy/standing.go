package kubeproxy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	kuberequest "k8s.io/apiserver/pkg/endpoints/request"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/request"
)

const (
	// standingInterval is how often Kubernetes is asked whether it lets this
	// server in, and retryInterval so while it does not.
	standingInterval = 15 * time.Second
	retryInterval    = time.Second
	standingTimeout  = 5 * time.Second
)

var errNotAsked = errors.New("not asked yet")

// standing is whether Kubernetes lets this server in: accepts its credentials, lets it
// act as others, and write what it alone does.
type standing struct {
	ask func(ctx context.Context) error

	mu    sync.Mutex // held by who asks
	state atomic.Pointer[standingState]
}

type standingState struct {
	asked time.Time
	err   error
}

// confirm asks again, unless somebody else has since then: of many requests that
// are refused at once, one asks.
func (s *standing) confirm(ctx context.Context, since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.state.Load()
	if before != nil && before.asked.After(since) {
		return before.err
	}
	asked := time.Now()
	err := s.ask(ctx)
	var refused *refusedError
	if err != nil && !errors.As(err, &refused) {
		return s.Err() // it was not answered, which says nothing of this
	}
	switch {
	case err != nil && (before == nil || before.err == nil):
		slog.ErrorContext(ctx, "Kubernetes refuses this server", "reason", err)
	case err == nil && before != nil && before.err != nil:
		slog.InfoContext(ctx, "Kubernetes lets this server in again")
	}
	s.state.Store(&standingState{asked: asked, err: err})
	return err
}

// Err says why Kubernetes does not let this server in; nil when it does.
func (s *standing) Err() error {
	if state := s.state.Load(); state != nil {
		return state.err
	}
	return errNotAsked
}

// run asks until the context ends, and more often while the answer is no.
func (s *standing) run(ctx context.Context) {
	ticker := time.NewTicker(retryInterval)
	defer ticker.Stop()
	for {
		if state := s.state.Load(); state == nil || state.err != nil || time.Since(state.asked) >= standingInterval {
			_ = s.confirm(ctx, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// refusedError says what Kubernetes does not let this server do.
type refusedError struct{ reason string }

// Error implements error.
func (r *refusedError) Error() string { return r.reason }

// needed is what this server does by its own account wherever it is: manifests of an
// earlier version do not permit that.
var needed = []authorizationv1.ResourceAttributes{
	{Verb: "create", Resource: "namespaces"},
	{Verb: "escalate", Group: rbacv1.GroupName, Resource: "clusterroles"},
	{Verb: "bind", Group: rbacv1.GroupName, Resource: "clusterroles"},
	{Verb: "create", Group: rbacv1.GroupName, Resource: "rolebindings"},
}

// mayServe asks Kubernetes whether this server may make requests as others, and write
// what nobody but it may.
func (p *Proxy) mayServe(ctx context.Context) error {
	nobody := &user.DefaultInfo{Name: kube.FieldManager}
	if _, err := p.review(kube.WithIdentity(ctx, kube.Identity{Groups: []string{authz.AdministratorsGroup}}), nobody,
		authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "get", Path: "/version"}}); err != nil {
		return err
	}
	for n := range needed {
		review, err := p.review(kube.WithIdentity(ctx, kube.Identity{Own: true}), nobody, authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &needed[n]})
		if err != nil {
			return err
		}
		if !review.Status.Allowed {
			return &refusedError{fmt.Sprintf("the account of this server may not %s %s: are the manifests of this version applied?", needed[n].Verb, needed[n].Resource)}
		}
	}
	return nil
}

// allows reports whether Kubernetes says that it allows what it has just refused: a verb, or
// that of the request if empty.
func (p *Proxy) allows(ctx context.Context, info *request.Info, verb string) bool {
	who, found := kuberequest.UserFrom(ctx)
	if !found || info == nil {
		return false
	}
	spec := authorizationv1.SelfSubjectAccessReviewSpec{NonResourceAttributes: &authorizationv1.NonResourceAttributes{Path: info.Path, Verb: info.Verb}}
	if info.IsResourceRequest {
		spec = authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: cmp.Or(verb, info.Verb), Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource, Subresource: info.Subresource, Namespace: info.Namespace, Name: info.Name,
		}}
	}
	review, err := p.review(ctx, who, spec)
	// Who does not answer that does not refuse either.
	return err != nil || review.Status.Allowed
}

// review asks Kubernetes whether somebody may do something, as whom the context says.
func (p *Proxy) review(ctx context.Context, who user.Info, spec authorizationv1.SelfSubjectAccessReviewSpec) (*authorizationv1.SelfSubjectAccessReview, error) {
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"}, Spec: spec,
	})
	if err != nil {
		return nil, err
	}
	where := p.at(&url.URL{Path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"})
	question, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(body)) //nolint:gosec // the host is Kubernetes', see at
	if err != nil {
		return nil, err
	}
	question.Header.Set("Content-Type", "application/json")
	kube.Impersonate(ctx, question.Header, who)
	answer, err := p.transport.RoundTrip(question)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return nil, err
	}
	switch {
	case answer.StatusCode == http.StatusUnauthorized:
		return nil, &refusedError{"Kubernetes does not accept the credentials of this server"}
	case answer.StatusCode == http.StatusForbidden:
		return nil, &refusedError{"this server may not act for others: " + statusError(answer.StatusCode, text).Error()}
	case answer.StatusCode != http.StatusCreated:
		return nil, fmt.Errorf("answered with %d", answer.StatusCode)
	}
	review := &authorizationv1.SelfSubjectAccessReview{}
	return review, json.Unmarshal(text, review)
}
