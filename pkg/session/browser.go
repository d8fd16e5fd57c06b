package session

import (
	"context"
	"errors"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// touchEvery is how often the use of a browser session is noted at the most.
const touchEvery = time.Minute

// scopeOffline is the scope of sessions that outlast the browser session they
// were started from (OpenID Connect Core §11).
const scopeOffline = "offline_access"

// StartBrowser logs a browser in and returns the value of its cookie.
func (s *Sessions) StartBrowser(ctx context.Context, login Login) (*iamv1alpha2.Session, string, error) {
	login.Client = browserClient
	return s.start(ctx, login, func(spec *iamv1alpha2.SessionSpec, hash string) { spec.Browser, spec.RefreshTokenHash = true, hash })
}

// Browser returns the session of a cookie: ErrInvalid if there is none, and
// ErrEnded if it is over.
func (s *Sessions) Browser(ctx context.Context, cookie string) (*iamv1alpha2.Session, error) {
	session, err := s.find(ctx, cookie)
	if err != nil {
		return nil, err
	}
	spec, now := &session.Spec, s.Now()
	switch {
	case !spec.Browser:
		return nil, ErrInvalid
	case spec.Revoked || s.over(spec, now):
		return nil, ErrEnded
	}
	if now.Sub(spec.LastUseTime.Time) > touchEvery {
		spec.LastUseTime = metav1.NewMicroTime(now)
		if err := s.Client.Update(ctx, session); err != nil && !apierrors.IsConflict(err) {
			return nil, err
		}
	}
	return session, nil
}

// Peek returns the session a refresh token of a client belongs to, without
// using the token.
func (s *Sessions) Peek(ctx context.Context, refreshToken, oauthClient string) (*iamv1alpha2.Session, error) {
	session, err := s.find(ctx, refreshToken)
	if err != nil {
		return nil, err
	}
	switch {
	case session.Spec.Browser || session.Spec.Client != oauthClient:
		return nil, ErrInvalid
	case session.Spec.Revoked || s.over(&session.Spec, s.Now()):
		return nil, ErrEnded
	}
	return session, nil
}

// Get returns a session by name, or a not-found error.
func (s *Sessions) Get(ctx context.Context, name string) (*iamv1alpha2.Session, error) {
	session := &iamv1alpha2.Session{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, session); err != nil {
		return nil, err
	}
	return session, nil
}

// find returns the session whose present secret a text has.
func (s *Sessions) find(ctx context.Context, text string) (*iamv1alpha2.Session, error) {
	name, secret, err := decode(text)
	if err != nil {
		return nil, err
	}
	if err := s.Lookups.session(ctx, name); err != nil {
		return nil, err
	}
	session := &iamv1alpha2.Session{}
	if err := s.read(ctx, name, session); err != nil {
		return nil, err
	}
	if !equal(hash(secret), session.Spec.RefreshTokenHash) {
		return nil, ErrInvalid
	}
	return session, nil
}

// EndBrowser ends a browser session and what was started from it, but for
// sessions that were granted to last longer.
func (s *Sessions) EndBrowser(ctx context.Context, browser *iamv1alpha2.Session, reason string) error {
	problems := []error{s.end(ctx, browser, reason)}
	sessions := &iamv1alpha2.SessionList{}
	if err := s.Client.List(ctx, sessions, client.MatchingLabels{iamv1alpha2.LabelUserReference: UserLabel(browser.Spec.User)}); err != nil {
		return errors.Join(append(problems, err)...)
	}
	for n := range sessions.Items {
		child := &sessions.Items[n]
		if child.Spec.Parent == browser.Name && !child.Spec.Revoked && !slices.Contains(child.Spec.Scopes, scopeOffline) {
			problems = append(problems, s.end(ctx, child, reason))
		}
	}
	return errors.Join(problems...)
}

// EndLogin ends a session and, if it was started from a browser session, that
// one as well.
func (s *Sessions) EndLogin(ctx context.Context, name, reason string) error {
	session := &iamv1alpha2.Session{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: name}, session); err != nil {
		return client.IgnoreNotFound(err)
	}
	if err := s.end(ctx, session, reason); err != nil || session.Spec.Parent == "" {
		return err
	}
	parent := &iamv1alpha2.Session{}
	if err := s.Client.Get(ctx, client.ObjectKey{Name: session.Spec.Parent}, parent); err != nil {
		return client.IgnoreNotFound(err)
	}
	return s.EndBrowser(ctx, parent, reason)
}
