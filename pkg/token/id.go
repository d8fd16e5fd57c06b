package token

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TypeID is the token_type of ID tokens, which are no credentials.
const TypeID = "id_token"

// idHeaderType is the "typ" of ID tokens.
const idHeaderType = "JWT"

// Profile is what applications may know of a user, by the scopes he granted
// (OpenID Connect Core §5.4).
type Profile struct {
	Name              string `json:"name,omitempty"`
	PreferredUsername string `json:"preferred_username,omitempty"`
	Locale            string `json:"locale,omitempty"`
	Email             string `json:"email,omitempty"`
	// EmailVerified is whether an identity provider said that the address is the user's; nil
	// where there is no address.
	EmailVerified *bool    `json:"email_verified,omitempty"`
	Groups        []string `json:"groups,omitempty"`
}

// IDClaims are the contents of an ID token (OpenID Connect Core §2).
type IDClaims struct {
	jwt.RegisteredClaims
	Profile
	AuthTime        *jwt.NumericDate `json:"auth_time,omitempty"`
	Nonce           string           `json:"nonce,omitempty"`
	Methods         []string         `json:"amr,omitempty"`
	AuthorizedParty string           `json:"azp,omitempty"`
	AccessTokenHash string           `json:"at_hash,omitempty"`
	Session         string           `json:"sid,omitempty"`
	TokenType       string           `json:"token_type"`
	// HasGroups is true where the last groups are left out since the token would be
	// too long with them; the userinfo endpoint has all. Microsoft Entra ID has the same
	// claim for the same case.
	HasGroups bool `json:"hasgroups,omitempty"`
}

// IDGrant is what an ID token says.
type IDGrant struct {
	User, Client, Session string
	Nonce                 string
	// AccessToken is the access token it is issued with.
	AccessToken string
	AuthTime    time.Time
	Methods     []string
	Profile     Profile
	Lifetime    time.Duration
}

// IssueID signs an ID token for a client. A user may be in more groups than a
// token has room for: then it has the first ones, and the claim hasgroups.
func (s *Service) IssueID(grant IDGrant) (string, error) {
	now := s.Now()
	key, found := s.Source.Keys().Active(now)
	if !found {
		return "", ErrNotReady
	}
	id, err := s.newID()
	if err != nil {
		return "", err
	}
	claims := IDClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.Issuer,
			Subject:   grant.User,
			Audience:  jwt.ClaimStrings{grant.Client},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(grant.Lifetime)),
			ID:        id,
		},
		Profile: grant.Profile, Nonce: grant.Nonce, Methods: grant.Methods, AuthorizedParty: grant.Client,
		AccessTokenHash: key.Algorithm.hashHalf(grant.AccessToken), Session: grant.Session, TokenType: TypeID,
	}
	if !grant.AuthTime.IsZero() {
		claims.AuthTime = jwt.NewNumericDate(grant.AuthTime)
	}
	text, err := s.sign(idHeaderType, false, claims)
	if err == nil && len(text) > maxIDToken {
		groups := claims.Groups
		claims.HasGroups, claims.Groups = len(groups) > 0, nil
		if text, err = s.sign(idHeaderType, false, claims); err == nil && len(text) < maxIDToken {
			claims.Groups = firstGroups(groups, (maxIDToken-len(text))*3/4)
			text, err = s.sign(idHeaderType, false, claims)
		}
	}
	if err == nil && len(text) > maxIDToken {
		return "", ErrTooLong
	}
	return text, err
}

// firstGroups are as many groups as fit into a claim of a size, in bytes of JSON.
func firstGroups(groups []string, size int) []string {
	size -= len(`"groups":[],`) + 2 // base64 encodes three bytes at a time
	for n, group := range groups {
		text, err := json.Marshal(group)
		if size -= len(text) + 1; err != nil || size < 0 {
			return groups[:n]
		}
	}
	return groups
}

// VerifyID checks an ID token that is handed back as a hint. It may be expired:
// who logs out often does so late (OpenID Connect RP-Initiated Logout §2).
func (s *Service) VerifyID(ctx context.Context, text string) (*IDClaims, error) {
	if len(text) > maxIDToken {
		return nil, ErrInvalid
	}
	claims, err := s.parseID(text)
	if errors.Is(err, errUnknownKey) && s.Source.Refresh(ctx) == nil {
		claims, err = s.parseID(text)
	}
	switch {
	case errors.Is(err, ErrNotReady):
		return nil, err
	case err != nil:
		return nil, ErrInvalid
	}
	return claims, nil
}

func (s *Service) parseID(text string) (*IDClaims, error) {
	claims := &IDClaims{}
	parsed, err := jwt.ParseWithClaims(text, claims, s.verificationKey,
		jwt.WithValidMethods(methods[:3]), jwt.WithoutClaimsValidation(), jwt.WithStrictDecoding())
	if err != nil {
		return nil, err
	}
	if parsed.Header["typ"] != idHeaderType || claims.TokenType != TypeID || claims.Issuer != s.Issuer || len(claims.Audience) != 1 {
		return nil, ErrInvalid
	}
	return claims, nil
}
