package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// The reasons for which a refresh token is refused.
var (
	// ErrInvalid is a token that never was one of ours.
	ErrInvalid = errors.New("the refresh token is invalid")
	// ErrEnded is a token of a session that is over.
	ErrEnded = errors.New("the session has ended")
	// ErrReused is a token that had been used before: it may be stolen, so
	// the whole session ends.
	ErrReused = errors.New("the refresh token was used before")
)

// Sessions creates, refreshes and ends sessions.
type Sessions struct {
	Client client.Client
	Now    func() time.Time
	Random io.Reader
	// Lifetime is how long a session lasts at the most.
	Lifetime time.Duration
	// IdleTimeout ends a session that is not refreshed for so long.
	IdleTimeout time.Duration
	// Grace is how long a used refresh token still answers with the token that
	// replaced it, for clients that refresh twice in parallel or lose an answer.
	Grace time.Duration
	// Bound ends the oldest sessions of a user with too many; nil for none.
	Bound *Bound
	// Lookups bounds how often Kubernetes is asked; nil for no bound.
	Lookups *Lookups
	// MaxConsents is how many consents are kept of a user, 0 for no bound.
	MaxConsents int
}

// namePrefix begins the names of Session objects.
const namePrefix = "session-"

// Accept decides whether a session continues, before its token or code is used. An
// error refuses the request, and the token or code stays valid.
type Accept func(session *iamv1alpha2.Session) error

// Refresh exchanges a refresh token of a client for the next one, if the session is
// accepted. A token that was used before ends the session, except within the grace
// time, when it answers with the same next token again.
func (s *Sessions) Refresh(ctx context.Context, refreshToken, oauthClient string, accept Accept) (*iamv1alpha2.Session, string, error) {
	name, secret, err := decode(refreshToken)
	if err != nil {
		return nil, "", err
	}
	if err := s.Lookups.session(ctx, name); err != nil {
		return nil, "", err
	}
	// Another replica may rotate at the same time; its write makes ours
	// conflict, and the second look finds our token in its grace time.
	for range 5 {
		session, next, err := s.refresh(ctx, name, secret, oauthClient, accept)
		if !apierrors.IsConflict(err) {
			return session, next, err
		}
	}
	return nil, "", fmt.Errorf("refreshing session %s: too many writers", name)
}

func (s *Sessions) refresh(ctx context.Context, name string, secret []byte, oauthClient string, accept Accept) (*iamv1alpha2.Session, string, error) {
	session := &iamv1alpha2.Session{}
	if err := s.read(ctx, name, session); err != nil {
		return nil, "", err
	}
	spec, now := &session.Spec, s.Now()
	presented := hash(secret)
	current := equal(presented, spec.RefreshTokenHash)
	previous := equal(presented, spec.PreviousTokenHash)
	switch {
	case spec.Client != oauthClient || spec.Browser:
		return nil, "", ErrInvalid
	case spec.Revoked || s.over(spec, now):
		return nil, "", ErrEnded
	case previous && now.Sub(spec.LastUseTime.Time) <= s.Grace:
		if err := accept(session); err != nil {
			return nil, "", err
		}
		nonce, err := base64.RawURLEncoding.DecodeString(spec.RotationNonce)
		if err != nil {
			return nil, "", ErrInvalid
		}
		next := derive(spec.RefreshTokenKey, secret, nonce)
		if !equal(hash(next), spec.RefreshTokenHash) { // of an earlier version, which derived it without a key
			next = hmacOf(secret, nonce)
		}
		return session, encode(name, next), nil
	case !current:
		// The name of a session is in its access tokens, so that knowing it proves
		// nothing: only a token that was issued once can have been stolen.
		if !previous && !issuedWith(spec.RefreshTokenKey, secret) {
			return nil, "", ErrInvalid
		}
		return nil, "", errors.Join(ErrReused, s.end(ctx, session, "a refresh token was used twice"))
	}
	if err := accept(session); err != nil {
		return nil, "", err
	}
	random := make([]byte, 2*sha256.Size)
	if _, err := io.ReadFull(s.Random, random); err != nil {
		return nil, "", fmt.Errorf("refreshing session %s: %w", name, err)
	}
	nonce := random[:sha256.Size]
	if spec.RefreshTokenKey == "" { // a session of an earlier version
		spec.RefreshTokenKey = encodeBytes(random[sha256.Size:])
	}
	next := derive(spec.RefreshTokenKey, secret, nonce)
	spec.PreviousTokenHash, spec.RefreshTokenHash = spec.RefreshTokenHash, hash(next)
	spec.RotationNonce = encodeBytes(nonce)
	spec.LastUseTime = metav1.NewMicroTime(now)
	if err := s.Client.Update(ctx, session); err != nil {
		return nil, "", err
	}
	return session, encode(name, next), nil
}

func (s *Sessions) over(spec *iamv1alpha2.SessionSpec, now time.Time) bool {
	return now.After(spec.ExpirationTime.Time) || now.After(spec.LastUseTime.Add(s.idle(spec)))
}

// idle is how long a session lasts unused.
func (s *Sessions) idle(spec *iamv1alpha2.SessionSpec) time.Duration {
	if spec.IdleSeconds > 0 {
		return time.Duration(spec.IdleSeconds) * time.Second
	}
	return s.IdleTimeout
}

// End revokes a session and so every token issued in it. A session that does
// not exist has ended already.
func (s *Sessions) End(ctx context.Context, name, reason string) error {
	session := &iamv1alpha2.Session{ObjectMeta: metav1.ObjectMeta{Name: name}}
	return s.end(ctx, session, reason)
}

func (s *Sessions) end(ctx context.Context, session *iamv1alpha2.Session, reason string) error {
	before := &iamv1alpha2.Session{ObjectMeta: metav1.ObjectMeta{Name: session.Name}}
	after := before.DeepCopy()
	after.Spec.Revoked, after.Spec.RevokedReason = true, reason
	return client.IgnoreNotFound(s.Client.Patch(ctx, after, client.MergeFrom(before)))
}

// Sweep deletes sessions that are over for longer than any token of theirs can
// be valid. It is harmless when several replicas do so.
func (s *Sessions) Sweep(ctx context.Context, tokenLifetime time.Duration) error {
	sessions := &iamv1alpha2.SessionList{}
	if err := s.Client.List(ctx, sessions); err != nil {
		return err
	}
	now := s.Now()
	for n := range sessions.Items {
		session := &sessions.Items[n]
		valid := max(tokenLifetime, time.Duration(session.Spec.AccessTokenSeconds)*time.Second)
		ended := session.Spec.LastUseTime.Add(max(s.idle(&session.Spec), valid))
		if session.Spec.ExpirationTime.Time.Before(ended) {
			ended = session.Spec.ExpirationTime.Add(valid)
		}
		if now.Before(ended) {
			continue
		}
		// Only as it was seen: it may just be refreshed.
		precondition := client.Preconditions{ResourceVersion: &session.ResourceVersion}
		if err := s.Client.Delete(ctx, session, precondition); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return err
		}
	}
	return s.sweepDevices(ctx)
}

// UserLabel is the name of a user as the value of a label, which has at most 63
// characters where the name of an object has 253.
func UserLabel(user string) string {
	if len(validation.IsValidLabelValue(user)) == 0 {
		return user
	}
	digest := sha256.Sum256([]byte(user))
	return fmt.Sprintf("sha256-%x", digest[:20])
}

// EndOthers revokes all sessions of a user but one.
func (s *Sessions) EndOthers(ctx context.Context, user, except, reason string) error {
	sessions := &iamv1alpha2.SessionList{}
	if err := s.Client.List(ctx, sessions, client.MatchingLabels{iamv1alpha2.LabelUserReference: UserLabel(user)}); err != nil {
		return err
	}
	var problems []error
	for n := range sessions.Items {
		session := &sessions.Items[n]
		if session.Name != except && !session.Spec.Revoked {
			problems = append(problems, s.end(ctx, session, reason))
		}
	}
	return errors.Join(problems...)
}

// Delete forgets all sessions of a user, which ends them.
func (s *Sessions) Delete(ctx context.Context, user string) error {
	sessions := &iamv1alpha2.SessionList{}
	if err := s.Client.List(ctx, sessions, client.MatchingLabels{iamv1alpha2.LabelUserReference: UserLabel(user)}); err != nil {
		return err
	}
	var problems []error
	for n := range sessions.Items {
		problems = append(problems, client.IgnoreNotFound(s.Client.Delete(ctx, &sessions.Items[n])))
	}
	return errors.Join(problems...)
}
