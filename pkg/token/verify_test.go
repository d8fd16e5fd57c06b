package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// source is a KeySource a test changes.
type source struct {
	keys, refreshed Keys
	refreshes       int
	err             error
}

func (s *source) Keys() Keys { return s.keys }

func (s *source) Refresh(context.Context) error {
	s.refreshes++
	if s.err == nil && s.refreshed != nil {
		s.keys = s.refreshed
	}
	return s.err
}

const issuer = "https://ks.example.com"

// clock is a service with one key and a time a test sets.
type clock struct {
	*Service
	*source
	now time.Time
}

func newClock(t testing.TB) *clock {
	t.Helper()
	keys, _ := mustNext(t, nil, epoch)
	c := &clock{source: &source{keys: keys}, now: epoch.Add(time.Hour)}
	c.Service = NewService(issuer, 10*time.Second, c.source, func() time.Time { return c.now }, rand.Reader)
	return c
}

func ecdsaKey(key Key) *ecdsa.PrivateKey { return key.Private.(*ecdsa.PrivateKey) }

// sign makes a token of any header and claims with any key.
func sign(t testing.TB, header, claims map[string]any, key *ecdsa.PrivateKey) string {
	t.Helper()
	text := encoded(t, header) + "." + encoded(t, claims)
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encoded(t testing.TB, value any) string {
	return base64.RawURLEncoding.EncodeToString(mustJSON(t, value))
}

// good returns the header and claims of a token that is accepted.
func (c *clock) good() (header, claims map[string]any) {
	return map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": c.keys[0].ID}, map[string]any{
		"iss": issuer, "sub": "admin", "aud": []string{issuer}, "iat": c.now.Unix(), "exp": c.now.Add(time.Hour).Unix(), "token_type": "access_token", "sid": "session-1",
	}
}

// TestP20Verify: rows change a token that is accepted.
func TestP20Verify(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	publicOther := map[string]any{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "mine",
		"x": base64.RawURLEncoding.EncodeToString(other.X.FillBytes(make([]byte, 32))), //nolint:staticcheck // the coordinates are what a JWK has
		"y": base64.RawURLEncoding.EncodeToString(other.Y.FillBytes(make([]byte, 32)))} //nolint:staticcheck // as above
	type change func(c *clock, header, claims map[string]any) *ecdsa.PrivateKey // nil for the right key
	set := func(what, key string, value any) change {
		return func(_ *clock, header, claims map[string]any) *ecdsa.PrivateKey {
			into := map[string]map[string]any{"header": header, "claims": claims}[what]
			if into[key] = value; value == nil {
				delete(into, key)
			}
			return nil
		}
	}
	at := func(key string, after time.Duration) change {
		return func(c *clock, _, claims map[string]any) *ecdsa.PrivateKey {
			claims[key] = c.now.Add(after).Unix()
			return nil
		}
	}
	for _, test := range []struct {
		name   string
		change change
		want   error
	}{
		{"nothing changed", func(*clock, map[string]any, map[string]any) *ecdsa.PrivateKey { return nil }, nil},
		{"P19: signed with another key", func(*clock, map[string]any, map[string]any) *ecdsa.PrivateKey { return other }, ErrInvalid},
		{"P19: with its own key in jwk", func(_ *clock, header, _ map[string]any) *ecdsa.PrivateKey {
			header["jwk"], header["kid"] = publicOther, "mine"
			return other
		}, ErrInvalid},
		{"P19: with its own key in jwk and our kid", func(_ *clock, header, _ map[string]any) *ecdsa.PrivateKey {
			header["jwk"] = publicOther
			return other
		}, ErrInvalid},
		{"P19: jku is not fetched", func(_ *clock, header, _ map[string]any) *ecdsa.PrivateKey {
			header["jku"], header["x5u"] = "http://127.0.0.1:1/keys", "http://127.0.0.1:1/cert"
			return other
		}, ErrInvalid},
		{"P19: kid of another of our keys", func(c *clock, header, _ map[string]any) *ecdsa.PrivateKey {
			c.keys, _ = mustNext(t, c.keys, epoch.Add(23*time.Hour))
			header["kid"] = c.keys[1].ID
			return nil
		}, ErrInvalid},
		{"P19: no kid", set("header", "kid", nil), ErrInvalid},
		{"P19: kid that is no text", set("header", "kid", 7), ErrInvalid},
		{"P19: kid that is a path", set("header", "kid", "../../dev/null"), ErrInvalid},
		{"P19: another alg in the header", set("header", "alg", "ES384"), ErrInvalid},
		{"P20: typ of an ID token", set("header", "typ", "JWT"), ErrInvalid},
		{"P20: no typ", set("header", "typ", nil), ErrInvalid},
		{"P20: refresh token", set("claims", "token_type", "refresh_token"), ErrInvalid},
		{"P20: authorization code", set("claims", "token_type", "code"), ErrInvalid},
		{"P20: no token_type", set("claims", "token_type", nil), ErrInvalid},
		{"P20: other issuer", set("claims", "iss", "https://other.example.com"), ErrInvalid},
		{"P20: no issuer", set("claims", "iss", nil), ErrInvalid},
		{"P20: other audience", set("claims", "aud", "https://other.example.com"), ErrInvalid},
		{"P20: no audience", set("claims", "aud", nil), ErrInvalid},
		{"P20: us among audiences", set("claims", "aud", []string{"a", issuer}), nil},
		{"P20: no subject", set("claims", "sub", nil), ErrInvalid},
		{"a token without a session, which nothing could end", set("claims", "sid", nil), ErrInvalid},
		{"a session without a name", set("claims", "sid", ""), ErrInvalid},
		{"a session that is no text", set("claims", "sid", 7), ErrInvalid},
		{"P20: expired", at("exp", -11*time.Second), ErrExpired},
		{"P20: expired within the leeway", at("exp", -9*time.Second), nil},
		{"P20: no expiry", set("claims", "exp", nil), ErrInvalid},
		{"P20: expiry that is text", set("claims", "exp", "never"), ErrInvalid},
		{"P20: issued in the future", at("iat", 11*time.Second), ErrInvalid},
		{"P20: issued by a clock that is ahead", at("iat", 9*time.Second), nil},
		{"P20: not valid yet", at("nbf", 11*time.Second), ErrInvalid},
		{"P20: valid by a clock that is ahead", at("nbf", 9*time.Second), nil},
		{"P20: larger than 8 KiB", set("claims", "padding", strings.Repeat("x", maxAccessToken)), ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock(t)
			key := ecdsaKey(c.keys[0])
			header, claims := c.good()
			if other := test.change(c, header, claims); other != nil {
				key = other
			}
			text := sign(t, header, claims, key)
			for range 2 { // what is remembered answers alike
				if got, err := c.Verify(t.Context(), text); !errors.Is(err, test.want) || err == nil != (got != nil) {
					t.Errorf("got %v, %v, want %v", got, err, test.want)
				}
			}
		})
	}
}

// TestP19Algorithms: a key of ES256 is for ES256 and nothing else.
func TestP19Algorithms(t *testing.T) {
	c := newClock(t)
	key := c.keys[0]
	public, err := ecdsaKey(key).PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := c.keys.Public()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	header, good := c.good()
	maps.Copy(claims, good)
	valid := sign(t, header, good, ecdsaKey(key))
	parts := strings.Split(valid, ".")
	header["alg"] = "none"
	none := encoded(t, header)
	header["alg"] = "None"
	capital := encoded(t, header)
	hmacSigned := func(secret []byte) string {
		unsigned := jwt.NewWithClaims(jwt.SigningMethodHS256, claims)
		unsigned.Header["kid"], unsigned.Header["typ"] = key.ID, "at+jwt"
		text, err := unsigned.SignedString(secret)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, test := range []struct{ name, text string }{
		{"none", none + "." + parts[1] + "."},
		{"none with a signature", none + "." + parts[1] + "." + parts[2]},
		{"None", capital + "." + parts[1] + "."},
		{"no signature", parts[0] + "." + parts[1] + "."},
		{"HS256 with the bytes of the public key", hmacSigned(public)},
		{"HS256 with the JWK", hmacSigned(mustJSON(t, jwks.Keys[0]))},
		{"HS256 with nothing", hmacSigned([]byte{})},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))},
		{"signature in DER", parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(derSignature(t, ecdsaKey(key), parts[0]+"."+parts[1]))},
		{"another payload", parts[0] + "." + encoded(t, map[string]any{"sub": "admin"}) + "." + parts[2]},
		{"padded", valid + "="},
		{"two parts", parts[0] + "." + parts[1]},
		{"four parts", valid + "." + parts[2]},
		{"empty", ""},
		{"dots", ".."},
		{"no base64", "a.!.c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := c.Verify(t.Context(), test.text); !errors.Is(err, ErrInvalid) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if _, err := c.Verify(t.Context(), valid); err != nil {
		t.Errorf("the token they were made of: %v", err)
	}
}

func derSignature(t *testing.T, key *ecdsa.PrivateKey, text string) []byte {
	digest := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// TestP22UnknownKey: a key another replica just made is looked for once, and
// only for a token that names one.
func TestP22UnknownKey(t *testing.T) {
	for _, test := range []struct {
		name      string
		refreshed bool
		err       error
		want      error
		refreshes int
	}{
		{"found", true, nil, nil, 1},
		{"not found", false, nil, ErrInvalid, 1},
		{"Kubernetes does not answer", false, errors.New("away"), ErrInvalid, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock(t)
			both, _ := mustNext(t, c.keys, epoch.Add(23*time.Hour))
			header, claims := c.good()
			header["kid"] = both[1].ID
			c.err = test.err
			if test.refreshed {
				c.refreshed = both
			}
			if _, err := c.Verify(t.Context(), sign(t, header, claims, ecdsaKey(both[1]))); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if c.refreshes != test.refreshes {
				t.Errorf("%d refreshes", c.refreshes)
			}
		})
	}
	t.Run("not for what is no token", func(t *testing.T) {
		c := newClock(t)
		header, claims := c.good()
		claims["exp"] = c.now.Add(-time.Hour).Unix()
		for _, text := range []string{"", "a.b.c", strings.Repeat("x", maxAccessToken+1), sign(t, header, claims, ecdsaKey(c.keys[0]))} {
			if _, err := c.Verify(t.Context(), text); err == nil {
				t.Errorf("accepted %q", text)
			}
		}
		if c.refreshes != 0 {
			t.Errorf("%d refreshes", c.refreshes)
		}
	})
	t.Run("not before there are keys", func(t *testing.T) {
		c := newClock(t)
		header, claims := c.good()
		text := sign(t, header, claims, ecdsaKey(c.keys[0]))
		c.keys = nil
		if _, err := c.Verify(t.Context(), text); !errors.Is(err, ErrNotReady) {
			t.Errorf("got %v", err)
		}
		if _, err := c.Issue(Grant{User: "a", Session: "session-1"}); !errors.Is(err, ErrNotReady) {
			t.Errorf("issued: %v", err)
		}
	})
}

// TestP24RememberedTokens: remembering saves the check of the signature, not
// that of the time.
func TestP24RememberedTokens(t *testing.T) {
	c := newClock(t)
	text, err := c.Issue(Grant{User: "admin", Session: "session-1", Lifetime: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.Verify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := c.Verify(t.Context(), text); err != nil || second != first {
		t.Errorf("not remembered: %v", err)
	}
	c.now = c.now.Add(time.Minute + 9*time.Second)
	if _, err := c.Verify(t.Context(), text); err != nil {
		t.Errorf("within the leeway: %v", err)
	}
	c.now = c.now.Add(2 * time.Second)
	if _, err := c.Verify(t.Context(), text); !errors.Is(err, ErrExpired) {
		t.Errorf("after it: %v", err)
	}
	flipped := []byte(text)
	flipped[len(flipped)-3] ^= 1
	if _, err := c.Verify(t.Context(), string(flipped)); !errors.Is(err, ErrInvalid) {
		t.Errorf("a similar token: %v", err)
	}
}

func TestIssue(t *testing.T) {
	c := newClock(t)
	grant := Grant{User: "admin", Client: "kubesphere", Session: "session-1", Lifetime: 2 * time.Hour, Extra: map[string][]string{"uninitialized": {"true"}}}
	one, err := c.Issue(grant)
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.Issue(grant)
	if err != nil {
		t.Fatal(err)
	}
	// Upstream gave two logins of one second the same token (lessons §1.7).
	if one == two {
		t.Error("two tokens of one second are the same")
	}
	claims, err := c.Verify(t.Context(), one)
	if err != nil {
		t.Fatal(err)
	}
	if claims.Subject != "admin" || claims.Username != "admin" || claims.Client != "kubesphere" || claims.Session != "session-1" ||
		claims.TokenType != TypeAccess || claims.Extra["uninitialized"][0] != "true" || !claims.ExpiresAt.Equal(c.now.Add(2*time.Hour)) {
		t.Errorf("claims %+v", claims)
	}
	c.Random = strings.NewReader("short")
	if _, err := c.Issue(grant); err == nil {
		t.Error("issued without randomness")
	}
}
