package kubeproxy

import (
	"bytes"
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

const (
	// standingInterval is how often Kubernetes is asked whether it lets this
	// server in, and retryInterval so while it does not.
	standingInterval = 15 * time.Second
	retryInterval    = time.Second
	standingTimeout  = 5 * time.Second
	// aftermath is how long a refusal may be of before Kubernetes knew what it
	// knows now: it refuses everybody when it has just started.
	aftermath = 10 * time.Second
)

var errNotAsked = errors.New("not asked yet")

// standing is whether Kubernetes lets this server in: accepts its credentials,
// lets it act as others, and lets the group it puts them in do everything.
type standing struct {
	ask func(ctx context.Context) error

	mu      sync.Mutex // held by who asks
	state   atomic.Pointer[standingState]
	trouble atomic.Int64 // when Kubernetes last did not answer, or refused this server
}

// noteTrouble says that Kubernetes does not do what it should.
func (s *standing) noteTrouble() { s.trouble.Store(time.Now().UnixNano()) }

// good reports whether Kubernetes lets this server in and has for a while, so
// that what it refuses it refuses somebody else.
func (s *standing) good(ctx context.Context, since time.Time) bool {
	err := s.confirm(ctx, since)
	return err == nil && since.Sub(time.Unix(0, s.trouble.Load())) > aftermath
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
	if err != nil {
		s.noteTrouble()
	}
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

// mayEverything asks Kubernetes, in the group of those whose requests were
// authorised, whether that may do everything.
func (p *Proxy) mayEverything(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, standingTimeout)
	defer cancel()
	body, err := json.Marshal(&authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec:     authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: "*", Group: "*", Resource: "*"}},
	})
	if err != nil {
		return err
	}
	where := p.at(&url.URL{Path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"})
	question, err := http.NewRequestWithContext(ctx, http.MethodPost, where.String(), bytes.NewReader(body)) //nolint:gosec // the host is Kubernetes', see at
	if err != nil {
		return err
	}
	question.Header.Set("Content-Type", "application/json")
	kube.Impersonate(question.Header, &user.DefaultInfo{Name: kube.FieldManager, Groups: []string{user.AllAuthenticated}})
	answer, err := p.transport.RoundTrip(question)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxRefusal))
	if err != nil {
		return err
	}
	review := &authorizationv1.SelfSubjectAccessReview{}
	switch {
	case answer.StatusCode == http.StatusUnauthorized:
		return &refusedError{"Kubernetes does not accept the credentials of this server"}
	case answer.StatusCode == http.StatusForbidden:
		return &refusedError{"this server may not act for others: " + statusError(answer.StatusCode, text).Error()}
	case answer.StatusCode != http.StatusCreated:
		return fmt.Errorf("answered with %d", answer.StatusCode)
	}
	if err := json.Unmarshal(text, review); err != nil {
		return err
	}
	if !review.Status.Allowed {
		return &refusedError{fmt.Sprintf("the group %s may not do everything: is it bound to the ClusterRole cluster-admin?", kube.AuthorizedGroup)}
	}
	return nil
}
