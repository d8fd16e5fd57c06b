package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestP21Switch: another algorithm needs no restart of verifiers, and replicas
// that are configured differently for a while do not make keys without end.
func TestP21Switch(t *testing.T) {
	next := func(keys Keys, algorithm Algorithm, at time.Time) (Keys, bool) {
		t.Helper()
		r := rotation
		r.Algorithm = algorithm
		keys, changed, err := r.Next(keys, at, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return keys, changed
	}
	names := func(keys Keys) string {
		all := make([]string, len(keys))
		for n := range keys {
			all[n] = string(keys[n].Algorithm)
		}
		return strings.Join(all, " ")
	}
	keys, _ := next(nil, ES256, epoch)
	now := epoch.Add(time.Hour)
	keys, changed := next(keys, EdDSA, now)
	if active, _ := keys.Active(now); !changed || names(keys) != "ES256 EdDSA" || active.Algorithm != ES256 {
		t.Fatalf("announced: %s", names(keys))
	}
	for _, algorithm := range []Algorithm{EdDSA, ES256, EdDSA, ES256} {
		if keys, changed = next(keys, algorithm, now.Add(time.Minute)); changed {
			t.Errorf("%s: %s", algorithm, names(keys))
		}
	}
	now = now.Add(switchAnnounce)
	if active, _ := keys.Active(now); active.Algorithm != EdDSA {
		t.Errorf("%s signs after the announcement", active.Algorithm)
	}
	if keys, _ = next(keys, EdDSA, now.Add(3*time.Hour)); names(keys) != "EdDSA" {
		t.Errorf("later there are %s", names(keys))
	}
	// What is announced for later does not make an operator wait for it.
	keys, _ = next(nil, ES256, epoch)
	keys, _ = next(keys, ES256, epoch.Add(23*time.Hour+time.Minute))
	keys, changed = next(keys, EdDSA, epoch.Add(23*time.Hour+2*time.Minute))
	if !changed || names(keys) != "ES256 EdDSA ES256" {
		t.Errorf("with one announced: %s", names(keys))
	}
}

// TestP23Published: what is published has no private part, of any algorithm.
func TestP23Published(t *testing.T) {
	for _, algorithm := range []Algorithm{ES256, RS256, EdDSA} {
		c := newClockOf(t, algorithm)
		c.Shared = []byte("0123456789abcdef0123456789abcdef")
		public, err := c.keys.Public()
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(mustJSON(t, public), &set); err != nil {
			t.Fatal(err)
		}
		if len(set.Keys) != 2 {
			t.Errorf("%s: %d keys", algorithm, len(set.Keys))
		}
		for _, key := range set.Keys {
			for name := range key {
				if !strings.Contains(" kty use alg kid crv x y n e ", " "+name+" ") {
					t.Errorf("%s: published %s", algorithm, name)
				}
			}
			if key["kty"] == "oct" {
				t.Errorf("%s: a secret is published", algorithm)
			}
		}
	}
}

func TestStoredAlgorithms(t *testing.T) {
	for _, algorithm := range []Algorithm{ES256, RS256, EdDSA} {
		c := newClockOf(t, algorithm)
		stored, err := c.keys.Encode()
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.Issue(Grant{User: "admin", Session: "session-1", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if c.keys, err = DecodeKeys(stored); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(t.Context(), text); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		// P19: a key is for the algorithm it was made for.
		for _, other := range []Algorithm{ES256, RS256, EdDSA, HS256, "none"} {
			if other == algorithm {
				continue
			}
			mixed := strings.Replace(string(stored), `"alg":"`+string(algorithm)+`","activeFrom":"2026-01-03`, `"alg":"`+string(other)+`","activeFrom":"2026-01-03`, 1)
			if mixed == string(stored) {
				t.Fatalf("stored %s", stored)
			}
			if _, err := DecodeKeys([]byte(mixed)); err == nil {
				t.Errorf("a key of %s is taken for %s", algorithm, other)
			}
		}
	}
}

func TestID(t *testing.T) {
	for _, algorithm := range []Algorithm{ES256, EdDSA} {
		c := newClockOf(t, algorithm)
		text, err := c.IssueID(IDGrant{User: "bob", Client: "grafana", Session: "session-1", Nonce: "n-0", AccessToken: "the access token", AuthTime: c.now.Add(-time.Minute),
			Methods: []string{"pwd"}, Profile: Profile{Name: "Bob", Groups: []string{"a"}}, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Verify(t.Context(), text); !errors.Is(err, ErrInvalid) {
			t.Errorf("P20: an ID token is a credential: %v", err)
		}
		claims, err := c.VerifyID(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		half := sha256.Sum256([]byte("the access token"))
		want := base64.RawURLEncoding.EncodeToString(half[:16])
		if algorithm == EdDSA {
			half := sha512.Sum512([]byte("the access token"))
			want = base64.RawURLEncoding.EncodeToString(half[:32])
		}
		if claims.AccessTokenHash != want || claims.Nonce != "n-0" || claims.Audience[0] != "grafana" || claims.Session != "session-1" ||
			claims.Name != "Bob" || claims.Groups[0] != "a" || claims.AuthTime.Unix() != c.now.Add(-time.Minute).Unix() || claims.Methods[0] != "pwd" {
			t.Errorf("claims %+v", claims)
		}
		c.now = c.now.Add(24 * time.Hour)
		if _, err := c.VerifyID(t.Context(), text); err != nil {
			t.Errorf("a late hint: %v", err)
		}
		access, err := c.Issue(Grant{User: "bob", Session: "session-1", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		c.Shared = []byte("0123456789abcdef0123456789abcdef")
		forged, err := c.sign(idHeaderType, true, IDClaims{TokenType: TypeID})
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"an access token": access, "one of the shared secret": forged, "another signature": text[:len(text)-4] + "AAAA", "too large": strings.Repeat("x", maxIDToken+1), "nothing": ""} {
			if _, err := c.VerifyID(t.Context(), text); !errors.Is(err, ErrInvalid) {
				t.Errorf("%s is an ID token: %v", name, err)
			}
		}
	}
}
