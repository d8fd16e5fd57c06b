package token

import (
	"github.com/golang-jwt/jwt/v5"

	"time"
)

// TypeIdentity is the token_type of identity assertions, which are no credentials.
const TypeIdentity = "identity"

// identityHeaderType is the "typ" of identity assertions.
const identityHeaderType = "ks-identity+jwt"

// IdentityClaims are the contents of an identity assertion: who sent a request
// that this server passes on. The audience is who it is passed on to.
type IdentityClaims struct {
	jwt.RegisteredClaims
	Groups    []string `json:"groups,omitempty"`
	TokenType string   `json:"token_type"`
}

// Assertion is what an identity assertion says.
type Assertion struct {
	User, Audience string
	Groups         []string
	Lifetime       time.Duration
}

// IssueIdentity signs an identity assertion. It always has a public key, so that
// those it is for can check it without a secret.
func (s *Service) IssueIdentity(assertion Assertion) (string, error) {
	now := s.Now()
	id, err := s.newID()
	if err != nil {
		return "", err
	}
	return s.sign(identityHeaderType, false, IdentityClaims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer:    s.Issuer,
			Subject:   assertion.User,
			Audience:  jwt.ClaimStrings{assertion.Audience},
			IssuedAt:  jwt.NewNumericDate(now),
			ExpiresAt: jwt.NewNumericDate(now.Add(assertion.Lifetime)),
			ID:        id,
		},
		Groups: assertion.Groups, TokenType: TypeIdentity,
	})
}
