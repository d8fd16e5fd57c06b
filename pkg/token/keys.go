package token

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Key is a signing key with the time its use begins.
type Key struct {
	ID         string
	Algorithm  Algorithm
	ActiveFrom time.Time
	Private    crypto.Signer
}

// Keys are the keys of all replicas, ordered by ActiveFrom: the one in use,
// the one that follows it, and earlier ones whose tokens may still be valid.
type Keys []Key

// Active is the key to sign with at a time.
func (k Keys) Active(now time.Time) (Key, bool) {
	for n := len(k) - 1; n >= 0; n-- {
		if !k[n].ActiveFrom.After(now) {
			return k[n], true
		}
	}
	return Key{}, false
}

// Find returns the key with an ID.
func (k Keys) Find(id string) (Key, bool) {
	n := slices.IndexFunc(k, func(key Key) bool { return key.ID == id })
	if n < 0 {
		return Key{}, false
	}
	return k[n], true
}

// Rotation says when keys change.
type Rotation struct {
	// Algorithm is that of new keys, ES256 if empty. When it changes, a key of
	// the new one follows as soon as verifiers have had time to see it.
	Algorithm Algorithm
	// Period is how long a key signs.
	Period time.Duration
	// Announce is how long a key is published before it signs, so that every
	// verifier has seen it.
	Announce time.Duration
	// Retain is how long a key is published after it signed last: at least
	// the longest life of a token.
	Retain time.Duration
}

// switchAnnounce is how long a key of another algorithm is published before it
// signs: verifiers may keep what they read for five minutes.
const switchAnnounce = 10 * time.Minute

// Next returns the keys as they should be at a time, and whether that is
// different from what they are. Random is a source such as crypto/rand.Reader.
func (r Rotation) Next(keys Keys, now time.Time, random io.Reader) (Keys, bool, error) {
	next := slices.Clone(keys)
	changed := false
	algorithm := cmp.Or(r.Algorithm, ES256)
	active, found := next.Active(now)
	if !found {
		key, err := newKey(algorithm, now, random)
		if err != nil {
			return nil, false, err
		}
		next, changed, active = append(next, key), true, key
	}
	end, announce := active.ActiveFrom.Add(r.Period), r.Announce
	last := next[len(next)-1]
	if last.Algorithm != algorithm && (last.ID == active.ID || last.ActiveFrom.Sub(now) > switchAnnounce) {
		end, announce, last = now, min(r.Announce, switchAnnounce), active
	}
	if last.ID == active.ID && !now.Before(end.Add(-announce)) {
		if earliest := now.Add(announce); end.Before(earliest) { // nobody rotated in time
			end = earliest
		}
		key, err := newKey(algorithm, end, random)
		if err != nil {
			return nil, false, err
		}
		next, changed = append(next, key), true
	}
	// Where a clock went back, the new key comes before one that is announced.
	slices.SortStableFunc(next, byActiveFrom)
	for len(next) > 1 && next[1].ActiveFrom.Add(r.Retain).Before(now) {
		next, changed = next[1:], true
	}
	return next, changed, nil
}

func newKey(algorithm Algorithm, activeFrom time.Time, random io.Reader) (Key, error) {
	private, err := algorithm.generate(random)
	if err != nil {
		return Key{}, fmt.Errorf("generating a signing key: %w", err)
	}
	id := make([]byte, 12)
	if _, err := io.ReadFull(random, id); err != nil {
		return Key{}, fmt.Errorf("generating a signing key: %w", err)
	}
	return Key{ID: encode(id), Algorithm: algorithm, ActiveFrom: activeFrom.UTC().Truncate(time.Second), Private: private}, nil
}

// storedKey is a key as it is kept in a Secret.
type storedKey struct {
	ID         string    `json:"kid"`
	Algorithm  Algorithm `json:"alg"`
	ActiveFrom time.Time `json:"activeFrom"`
	PrivateKey string    `json:"privateKey"` // PKCS #8 in PEM
}

// Encode returns the form in which keys are stored.
func (k Keys) Encode() ([]byte, error) {
	stored := make([]storedKey, len(k))
	for n, key := range k {
		der, err := x509.MarshalPKCS8PrivateKey(key.Private)
		if err != nil {
			return nil, err
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		stored[n] = storedKey{ID: key.ID, Algorithm: key.Algorithm, ActiveFrom: key.ActiveFrom, PrivateKey: string(block)}
	}
	return json.Marshal(stored)
}

// DecodeKeys reads what Encode wrote.
func DecodeKeys(data []byte) (Keys, error) {
	var stored []storedKey
	if err := json.Unmarshal(data, &stored); err != nil {
		return nil, errors.New("the signing keys are not valid JSON") // without err: it may quote a key
	}
	keys := make(Keys, len(stored))
	for n, key := range stored {
		private, err := decodePrivate(key)
		if err != nil {
			return nil, fmt.Errorf("signing key %q: %w", key.ID, err)
		}
		keys[n] = Key{ID: key.ID, Algorithm: key.Algorithm, ActiveFrom: key.ActiveFrom, Private: private}
	}
	slices.SortStableFunc(keys, byActiveFrom)
	return keys, nil
}

func byActiveFrom(a, b Key) int { return a.ActiveFrom.Compare(b.ActiveFrom) }

func decodePrivate(key storedKey) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(key.PrivateKey))
	if block == nil {
		return nil, errors.New("not in PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("not in PKCS #8")
	}
	return key.Algorithm.check(parsed)
}

// JWK is a public key as RFC 7517 writes it.
type JWK struct {
	KeyType   string `json:"kty"`
	Use       string `json:"use"`
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
	Curve     string `json:"crv,omitempty"`
	X         string `json:"x,omitempty"`
	Y         string `json:"y,omitempty"`
	N         string `json:"n,omitempty"`
	E         string `json:"e,omitempty"`
}

// JWKS is a set of public keys (RFC 7517 §5).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// Public returns the public halves of the keys.
func (k Keys) Public() (JWKS, error) {
	result := JWKS{Keys: make([]JWK, len(k))}
	for n := range k {
		public, err := k[n].public()
		if err != nil {
			return JWKS{}, err
		}
		result.Keys[n] = public
	}
	return result, nil
}
