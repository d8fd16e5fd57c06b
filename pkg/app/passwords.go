package app

import (
	"crypto/rand"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/config"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// hasher makes the hashes of new passwords.
func hasher(c config.Authentication) passwordhash.Hasher {
	return passwordhash.Hasher{Algorithm: c.PasswordHash.Algorithm, Cost: c.PasswordHash.BcryptCost, Random: rand.Reader}
}

// chosenPasswords are the passwords users may choose.
func chosenPasswords(c config.Authentication) iam.Passwords {
	h := hasher(c)
	return iam.Passwords{Policy: identity.NewPolicy(c.PasswordPolicy.MinLength, h.Longest()), Hasher: h}
}

// newBackoff counts failed attempts to log in as the configuration says.
func (a *app) newBackoff() *identity.Backoff {
	c := &a.config.Authentication
	return identity.NewBackoff(c.AuthenticateRateLimiterMaxTries, c.AuthenticateRateLimiterDuration.Duration, time.Now)
}
