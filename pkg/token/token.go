package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	utilcache "k8s.io/apimachinery/pkg/util/cache"
)

// TypeAccess is the token_type of access tokens. Tokens of other types are
// never accepted as credentials.
const TypeAccess = "access_token"

// headerType is the "typ" of access tokens (RFC 9068 §2.1).
const headerType = "at+jwt"

// The longest tokens that are parsed at all, in bytes (CVE-2025-30204). None is
// issued that is longer. An access token is sent in a header, and many servers
// take 8 KiB of them. An ID token comes back as a hint, in the query of a URL,
// and a quarter of what net/http takes as headers leaves room for all else there.
const (
	maxAccessToken = 8 << 10
	maxIDToken     = 32 << 10
)

// Claims are the contents of an access token.
type Claims struct {
	jwt.RegisteredClaims
	// Session is the ID of the session the token was issued in.
	Session string `json:"sid,omitempty"`
	// Client is the OAuth client the token was issued to (RFC 9068 §2.2).
	Client    string `json:"client_id,omitempty"`
	TokenType string `json:"token_type"`
	// Username repeats the subject for clients of KubeSphere.
	Username string `json:"username"`
	// Scope are the scopes the user granted, if any (RFC 9068 §2.2.3).
	Scope string `json:"scope,omitempty"`
	// Extra is what else is known of the user, such as "uninitialized".
	Extra map[string][]string `json:"extra,omitempty"`
}

// The reasons for which a token is refused.
var (
	ErrExpired = errors.New("the token is expired")
	ErrInvalid = errors.New("the token is invalid")
	// ErrNotReady means that the signing keys are not known yet.
	ErrNotReady = errors.New("the signing keys are not available yet")
	// ErrTooLong is a token that would be longer than those that are accepted.
	ErrTooLong = errors.New("the token would be too long")
)

// KeySource provides the present keys.
type KeySource interface {
	// Keys are the keys known now.
	Keys() Keys
	// Refresh looks for keys that are not known yet.
	Refresh(ctx context.Context) error
}

// Service issues and verifies access tokens.
type Service struct {
	Issuer string
	// Leeway is how far the clocks of replicas may be apart.
	Leeway time.Duration
	Source KeySource
	Now    func() time.Time
	Random io.Reader
	// Shared is the secret of HS256; empty for none. Such tokens have no key ID,
	// and the secret is in no set of keys, so neither stands for the other.
	Shared []byte
	// SignShared signs access tokens with the shared secret; without it tokens
	// signed so are only accepted. ID tokens always have a public key.
	SignShared bool

	verified *utilcache.LRUExpireCache
}

// verifiedTokens bounds how many tokens are remembered, and rememberFor how
// long a signature is not checked again.
const (
	verifiedTokens = 8192
	rememberFor    = 10 * time.Second
)

// NewService returns a token service.
func NewService(issuer string, leeway time.Duration, source KeySource, now func() time.Time, random io.Reader) *Service {
	return &Service{Issuer: issuer, Leeway: leeway, Source: source, Now: now, Random: random, verified: utilcache.NewLRUExpireCache(verifiedTokens)}
}

// Grant is what a token says.
type Grant struct {
	User, Client, Session string
	Scopes                []string
	Extra                 map[string][]string
	Lifetime              time.Duration
}

// errNoSession is the error of issuing a token that nothing could end.
var errNoSession = errors.New("an access token needs a session")

// Issue signs an access token of a session. Every token has an ID of its own, so
// that two tokens of a user are never the same text.
func (s *Service) Issue(grant Grant) (string, error) {
	if grant.Session == "" {
		return "", errNoSession
	}
	now := s.Now()
	id, err := s.newID()
	if err != nil {
		return "", err
	}
	text, err := s.sign(headerType, s.SignShared, Claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.Issuer,
			Subject:   grant.User,
			Audience:  jwt.ClaimStrings{s.Issuer},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(grant.Lifetime)),
			ID:        id,
		},
		Session: grant.Session, Client: grant.Client, TokenType: TypeAccess, Username: grant.User,
		Scope: strings.Join(grant.Scopes, " "), Extra: grant.Extra,
	})
	if err == nil && len(text) > maxAccessToken {
		return "", ErrTooLong
	}
	return text, err
}

func (s *Service) newID() (string, error) {
	id := make([]byte, 16)
	if _, err := io.ReadFull(s.Random, id); err != nil {
		return "", fmt.Errorf("issuing a token: %w", err)
	}
	return encode(id), nil
}

// sign signs claims with the key in use, or with the shared secret.
func (s *Service) sign(headerType string, shared bool, claims jwt.Claims) (string, error) {
	if shared {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
		unsigned.Header["typ"] = headerType
		return unsigned.SignedString(s.Shared)
	}
	key, found := s.Source.Keys().Active(s.Now())
	if !found {
		return "", ErrNotReady
	}
	unsigned := jwt.NewWithClaims(key.Algorithm.method(), claims)
	unsigned.Header["kid"] = key.ID
	unsigned.Header["typ"] = headerType
	return unsigned.SignedString(key.Private)
}

// Verify checks an access token and returns its contents: the algorithm, the
// key, which must be one of ours, the signature, the type, the issuer, the
// audience, the times and that it belongs to a session. Whether the user and the
// session still exist is for the caller to ask.
func (s *Service) Verify(ctx context.Context, text string) (*Claims, error) {
	if len(text) > maxAccessToken {
		return nil, ErrInvalid
	}
	var usual [1 << 10]byte // most tokens are not longer, and their copy is on the stack
	digest := sha256.Sum256(append(usual[:0], text...))
	if known, found := s.verified.Get(digest); found {
		claims := known.(*Claims)
		if s.Now().Before(claims.ExpiresAt.Add(s.Leeway)) {
			return claims, nil
		}
	}
	claims, err := s.parse(text)
	if errors.Is(err, errUnknownKey) {
		// Another replica may just have published it.
		if s.Source.Refresh(ctx) == nil {
			claims, err = s.parse(text)
		}
	}
	switch {
	case errors.Is(err, ErrNotReady):
		return nil, err
	case errors.Is(err, jwt.ErrTokenExpired):
		return nil, ErrExpired
	case err != nil:
		return nil, ErrInvalid
	}
	s.verified.Add(digest, claims, rememberFor)
	return claims, nil
}

// methods are all algorithms tokens may be signed with at all.
var methods = []string{string(ES256), string(RS256), string(EdDSA), string(HS256)}

var errUnknownKey = errors.New("unknown key")

func (s *Service) parse(text string) (*Claims, error) {
	claims := &Claims{}
	parsed, err := jwt.ParseWithClaims(text, claims, s.verificationKey,
		jwt.WithValidMethods(methods), jwt.WithIssuer(s.Issuer), jwt.WithAudience(s.Issuer),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(s.Leeway), jwt.WithTimeFunc(s.Now), jwt.WithStrictDecoding())
	if err != nil {
		return nil, err
	}
	if parsed.Header["typ"] != headerType || claims.TokenType != TypeAccess || claims.Subject == "" || claims.Session == "" {
		return nil, ErrInvalid
	}
	return claims, nil
}

// verificationKey is the key for a token: the shared secret for HS256 and
// nothing else, a public key for the one algorithm it was made for.
func (s *Service) verificationKey(unverified *jwt.Token) (any, error) {
	named, hasID := unverified.Header["kid"]
	if unverified.Method == jwt.SigningMethodHS256 {
		if len(s.Shared) == 0 || hasID {
			return nil, ErrInvalid
		}
		return s.Shared, nil
	}
	keys := s.Source.Keys()
	if len(keys) == 0 {
		return nil, ErrNotReady
	}
	id, _ := named.(string)
	key, found := keys.Find(id)
	if !found {
		return nil, errUnknownKey
	}
	if key.Algorithm.method() != unverified.Method {
		return nil, ErrInvalid
	}
	return key.Private.Public(), nil
}
