package session

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// browserClient is what the client of browser sessions is called. It is no
// client that can ask for tokens.
const browserClient = "browser"

// longestAgent bounds how much of a client's name for itself is stored.
const longestAgent = 256

// Login says who logged in, how, and for what.
type Login struct {
	User, Client string
	// Parent is the browser session the login follows from.
	Parent string
	// Address and UserAgent are those of the client that logged in.
	Address, UserAgent string
	// Provider is the identity provider the user came from; empty for local users.
	Provider string
	// Scopes and Audience are what the user granted, and for whom.
	Scopes, Audience []string
	// Time is when the user proved who he is, now if zero, and Methods how.
	Time    time.Time
	Methods []string
	// AccessToken is how long the client's access tokens are valid, and Idle how
	// long the session lasts unused; 0 for as long as others.
	AccessToken, Idle time.Duration
	// Extra is what else is known of the user.
	Extra map[string][]string
}

// Create starts a session and returns it with its first refresh token.
func (s *Sessions) Create(ctx context.Context, user, oauthClient string) (*iamv1alpha2.Session, string, error) {
	return s.Start(ctx, Login{User: user, Client: oauthClient})
}

// Start starts a session of a client and returns it with its first refresh token.
func (s *Sessions) Start(ctx context.Context, login Login) (*iamv1alpha2.Session, string, error) {
	return s.start(ctx, login, func(spec *iamv1alpha2.SessionSpec, hash string) { spec.RefreshTokenHash = hash })
}

// StartUnrefreshed starts a session that lasts as long as its access token.
func (s *Sessions) StartUnrefreshed(ctx context.Context, login Login) (*iamv1alpha2.Session, error) {
	created, _, err := s.start(ctx, login, func(spec *iamv1alpha2.SessionSpec, _ string) {
		spec.ExpirationTime = metav1.NewTime(s.Now().Add(login.AccessToken))
	})
	return created, err
}

// start creates a session with a secret, whose hash is kept where keep says.
func (s *Sessions) start(ctx context.Context, login Login, keep func(spec *iamv1alpha2.SessionSpec, hash string)) (*iamv1alpha2.Session, string, error) {
	random := make([]byte, 16+sha256.Size+randomPart)
	if _, err := io.ReadFull(s.Random, random); err != nil {
		return nil, "", fmt.Errorf("creating a session: %w", err)
	}
	name := namePrefix + fmt.Sprintf("%x", random[:16])
	key := encodeBytes(random[16 : 16+sha256.Size])
	secret := seal(key, random[16+sha256.Size:])
	now := s.Now()
	if login.Time.IsZero() {
		login.Time = now
	}
	proved := metav1.NewTime(login.Time)
	created := &iamv1alpha2.Session{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{iamv1alpha2.LabelUserReference: UserLabel(login.User)}},
		Spec: iamv1alpha2.SessionSpec{
			User: login.User, Client: login.Client, Parent: login.Parent,
			Address: login.Address, UserAgent: shorten(login.UserAgent), Provider: login.Provider,
			Scopes: login.Scopes, Audience: login.Audience,
			AuthenticationTime: &proved, AuthenticationMethods: login.Methods,
			AccessTokenSeconds: int64(login.AccessToken.Seconds()), IdleSeconds: int64(login.Idle.Seconds()),
			Extra:           login.Extra,
			RefreshTokenKey: key,
			LastUseTime:     metav1.NewMicroTime(now),
			ExpirationTime:  metav1.NewTime(now.Add(s.Lifetime)),
		},
	}
	keep(&created.Spec, hash(secret))
	s.makeRoom(ctx, login.User)
	if err := s.Client.Create(ctx, created); err != nil {
		return nil, "", fmt.Errorf("creating a session: %w", err)
	}
	return created, encode(name, secret), nil
}

// shorten bounds a client's name for itself, at the border of a character.
func shorten(agent string) string {
	if len(agent) <= longestAgent {
		return agent
	}
	for n := longestAgent; ; n-- {
		if agent[n]&0xc0 != 0x80 {
			return agent[:n]
		}
	}
}
