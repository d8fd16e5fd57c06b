package oauthclient

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// shaPrefix begins a salted SHA-256 hash in PHC form: $sha256$SALT$HASH, both
// in base64 without padding, the hash being that of the salt and the secret.
// It is for secrets that are random; chosen ones need a hash of passwords.
const shaPrefix = "$sha256$"

// Authenticates compares a secret in constant time, whatever its length. The
// stored one is the secret itself, its hash as of a password (bcrypt, argon2id), or
// a salted SHA-256 hash.
func (c *Client) Authenticates(secret string) bool {
	switch {
	case c.Secret == "" || secret == "":
		return false
	case strings.HasPrefix(c.Secret, shaPrefix):
		return matchesSHA(c.Secret, secret)
	case c.Hashed():
		correct, _ := passwordhash.Verify(c.Secret, secret)
		return correct
	}
	want, got := sha256.Sum256([]byte(c.Secret)), sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// Hashed reports whether comparing a secret takes the work of a password hash,
// which is not to be done for many at once.
func (c *Client) Hashed() bool { return passwordhash.IsHash(c.Secret) }

// matchesSHA compares with a salted hash. A hash that is malformed matches
// nothing: it must not turn into a secret.
func matchesSHA(stored, secret string) bool {
	salt, sum, found := strings.Cut(strings.TrimPrefix(stored, shaPrefix), "$")
	if !found {
		return false
	}
	prefix, err := base64.RawStdEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	want, err := base64.RawStdEncoding.DecodeString(sum)
	if err != nil || len(want) != sha256.Size {
		return false
	}
	got := sha256.Sum256(append(prefix, secret...))
	return subtle.ConstantTimeCompare(want, got[:]) == 1
}
