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

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// codeLifetime is how long an authorization code can be exchanged.
const codeLifetime = time.Minute

// Binding is what an authorization code is bound to.
type Binding struct {
	// RedirectURI is the one of the request, empty if it had none.
	RedirectURI string
	// Challenge is that of PKCE by S256, empty for none.
	Challenge string
	// Nonce goes into the ID token.
	Nonce string
}

// StartWithCode starts a session whose tokens the client gets for a code. It
// is the session itself that begins with the code: exchanging it is one write,
// which only one replica succeeds with, and what its first use issued is known
// when it comes a second time.
func (s *Sessions) StartWithCode(ctx context.Context, login Login, to Binding) (string, error) {
	_, code, err := s.start(ctx, login, func(spec *iamv1alpha2.SessionSpec, hash string) {
		expires := s.Now().Add(codeLifetime)
		spec.Code = &iamv1alpha2.SessionCode{
			Hash: hash, RedirectURI: to.RedirectURI, Challenge: to.Challenge, Nonce: to.Nonce, ExpirationTime: metav1.NewMicroTime(expires),
		}
		// Nothing is kept of a code nobody comes with.
		spec.ExpirationTime = metav1.NewTime(expires)
	})
	return code, err
}

// Exchange ends the life of an authorization code and begins that of the
// session, if that is accepted: it returns the session with its first refresh token.
// A code that comes a second time ends the session.
func (s *Sessions) Exchange(ctx context.Context, code, oauthClient, redirectURI, verifier string, accept Accept) (*iamv1alpha2.Session, string, error) {
	name, secret, err := decode(code)
	if err != nil {
		return nil, "", err
	}
	if err := s.Lookups.session(ctx, name); err != nil {
		return nil, "", err
	}
	session := &iamv1alpha2.Session{}
	if err := s.read(ctx, name, session); err != nil {
		return nil, "", err
	}
	spec, now := &session.Spec, s.Now()
	switch {
	case spec.Code == nil || spec.Client != oauthClient || !equal(hash(secret), spec.Code.Hash):
		return nil, "", ErrInvalid
	case spec.Revoked:
		return nil, "", ErrEnded
	case spec.Code.Used:
		return nil, "", errors.Join(ErrReused, s.end(ctx, session, "an authorization code was used twice"))
	case now.After(spec.Code.ExpirationTime.Time), spec.Code.RedirectURI != redirectURI, !proves(verifier, spec.Code.Challenge):
		// Whoever has the code and cannot use it shall not try again.
		return nil, "", errors.Join(ErrInvalid, s.end(ctx, session, "an authorization code was not used as it was meant to be"))
	}
	if err := accept(session); err != nil {
		return nil, "", err
	}
	random := make([]byte, randomPart)
	if _, err := io.ReadFull(s.Random, random); err != nil {
		return nil, "", fmt.Errorf("exchanging a code: %w", err)
	}
	next := seal(spec.RefreshTokenKey, random)
	spec.Code.Used = true
	spec.RefreshTokenHash = hash(next)
	spec.LastUseTime = metav1.NewMicroTime(now)
	spec.ExpirationTime = metav1.NewTime(now.Add(s.Lifetime))
	if err := s.Client.Update(ctx, session); err != nil {
		if apierrors.IsConflict(err) {
			// Somebody used it at the same moment: one of the two is not who it was for.
			return nil, "", errors.Join(ErrReused, s.end(ctx, session, "an authorization code was used twice"))
		}
		return nil, "", err
	}
	return session, encode(name, next), nil
}

// proves reports whether a verifier is the one a challenge was made of (RFC
// 7636 §4.6). Without a challenge there must be no verifier: it would have
// been taken away on the way.
func proves(verifier, challenge string) bool {
	if challenge == "" || verifier == "" {
		return challenge == verifier
	}
	digest := sha256.Sum256([]byte(verifier))
	return equal(base64.RawURLEncoding.EncodeToString(digest[:]), challenge)
}
