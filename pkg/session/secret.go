package session

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

// A refresh token is the ID of its session and a secret of 32 bytes: a random part,
// and a tag of it under the session's key. The tag proves that a token was issued
// once, so that a used one is told from one that was made up by reading the ID in
// an access token. Only the hash of the latest two is stored.
const (
	randomPart = 20 // RFC 6749 §10.10 wants 160 bits that cannot be guessed
	tagPart    = sha256.Size - randomPart
)

// seal makes the secret of a random part.
func seal(key string, random []byte) []byte {
	part := random[:randomPart]
	return append(part[:randomPart:randomPart], hmacOf([]byte(key), part)[:tagPart]...)
}

// issuedWith reports whether a secret was made with a key.
func issuedWith(key string, secret []byte) bool {
	return key != "" && len(secret) == sha256.Size && subtle.ConstantTimeCompare(seal(key, secret), secret) == 1
}

// derive makes the next secret of the present one: whoever holds the present
// one can be answered with the same next one again, and the nonce, which never
// leaves the cluster, keeps thieves of old tokens from computing it.
func derive(key string, secret, nonce []byte) []byte { return seal(key, hmacOf(secret, nonce)) }

func hmacOf(key, message []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(message)
	return mac.Sum(nil)
}

func hash(secret []byte) string {
	digest := sha256.Sum256(secret)
	return encodeBytes(digest[:])
}

func encodeBytes(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func encode(name string, secret []byte) string {
	return strings.TrimPrefix(name, namePrefix) + "." + encodeBytes(secret)
}

func decode(refreshToken string) (name string, secret []byte, err error) {
	id, encoded, found := strings.Cut(refreshToken, ".")
	if !found || len(id) != 32 || strings.Trim(id, "0123456789abcdef") != "" {
		return "", nil, ErrInvalid
	}
	secret, err = base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(secret) != sha256.Size {
		return "", nil, ErrInvalid
	}
	return namePrefix + id, secret, nil
}
