package token

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
)

// newClockOf is a service whose second key, of an algorithm, signs.
func newClockOf(t testing.TB, algorithm Algorithm) *clock {
	t.Helper()
	c := newClock(t)
	other := rotation
	other.Algorithm = algorithm
	keys, _, err := other.Next(c.keys, epoch.Add(23*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.keys, c.now = keys, epoch.Add(25*time.Hour)
	if active, _ := c.keys.Active(c.now); active.Algorithm != algorithm {
		t.Fatalf("%s signs", active.Algorithm)
	}
	return c
}

// TestJOSE: another library finds the key by kid in what we publish and
// accepts our tokens, and we accept its.
func TestJOSE(t *testing.T) {
	for _, algorithm := range []Algorithm{ES256, RS256, EdDSA} {
		t.Run(string(algorithm), func(t *testing.T) {
			c := newClockOf(t, algorithm)
			public, err := c.keys.Public()
			if err != nil {
				t.Fatal(err)
			}
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(mustJSON(t, public), &set); err != nil {
				t.Fatal(err)
			}
			access, err := c.Issue(Grant{User: "admin", Session: "session-1", Scopes: []string{"openid", "email"}, Lifetime: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			id, err := c.IssueID(IDGrant{User: "admin", Client: "grafana", Nonce: "n", AccessToken: access, Lifetime: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range []struct{ text, typ, audience string }{{access, "at+jwt", issuer}, {id, "JWT", "grafana"}} {
				parsed, err := josejwt.ParseSigned(test.text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)})
				if err != nil {
					t.Fatal(err)
				}
				kid := parsed.Headers[0].KeyID
				if kid != c.keys[1].ID || !set.Key(kid)[0].Valid() || !set.Key(kid)[0].IsPublic() || set.Key(kid)[0].Algorithm != string(algorithm) {
					t.Fatalf("kid %s", kid)
				}
				var claims josejwt.Claims
				if err := parsed.Claims(&set, &claims); err != nil {
					t.Fatal(err)
				}
				expected := josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{test.audience}, Subject: "admin", Time: c.now}
				if err := claims.ValidateWithLeeway(expected, 0); err != nil {
					t.Error(err)
				}
				if typ := parsed.Headers[0].ExtraHeaders[jose.HeaderType]; typ != test.typ {
					t.Errorf("typ %v", typ)
				}
			}

			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: jose.JSONWebKey{Key: c.keys[1].Private, KeyID: c.keys[1].ID}},
				(&jose.SignerOptions{}).WithType("at+jwt"))
			if err != nil {
				t.Fatal(err)
			}
			_, good := c.good()
			theirs, err := josejwt.Signed(signer).Claims(good).Serialize()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Verify(t.Context(), theirs); err != nil {
				t.Errorf("their token: %v", err)
			}
			if verified, err := c.Verify(t.Context(), access); err != nil || verified.Scope != "openid email" {
				t.Errorf("ours: %v", err)
			}
		})
	}
}

// TestJOSEHS256: tokens of a shared secret, as another library makes them.
func TestJOSEHS256(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	theirs := func(t *testing.T, c *clock, secret []byte, typ, kid string, change func(claims map[string]any)) string {
		options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
		if kid != "" {
			options = options.WithHeader("kid", kid)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: secret}, options)
		if err != nil {
			t.Fatal(err)
		}
		_, good := c.good()
		if change != nil {
			change(good)
		}
		text, err := josejwt.Signed(signer).Claims(good).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, test := range []struct {
		name   string
		shared []byte
		text   func(t *testing.T, c *clock) string
		ok     bool
	}{
		{"accepted", secret, func(t *testing.T, c *clock) string { return theirs(t, c, secret, "at+jwt", "", nil) }, true},
		{"no secret configured", nil, func(t *testing.T, c *clock) string { return theirs(t, c, secret, "at+jwt", "", nil) }, false},
		{"another secret", secret, func(t *testing.T, c *clock) string {
			return theirs(t, c, slices.Repeat([]byte("x"), 32), "at+jwt", "", nil)
		}, false},
		{"P19: with the kid of a public key", secret, func(t *testing.T, c *clock) string { return theirs(t, c, secret, "at+jwt", c.keys[0].ID, nil) }, false},
		{"another typ", secret, func(t *testing.T, c *clock) string { return theirs(t, c, secret, "JWT", "", nil) }, false},
		{"a refresh token of KubeSphere 3.x", secret, func(t *testing.T, c *clock) string {
			return theirs(t, c, secret, "at+jwt", "", func(claims map[string]any) { claims["token_type"] = "refresh_token" })
		}, false},
		{"without an end", secret, func(t *testing.T, c *clock) string {
			return theirs(t, c, secret, "at+jwt", "", func(claims map[string]any) { delete(claims, "exp") })
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClock(t)
			c.Shared = test.shared
			if _, err := c.Verify(t.Context(), test.text(t, c)); (err == nil) != test.ok {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("ours", func(t *testing.T) {
		c := newClock(t)
		c.Shared, c.SignShared = secret, true
		access, err := c.Issue(Grant{User: "admin", Session: "session-1", Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := josejwt.ParseSigned(access, []jose.SignatureAlgorithm{jose.HS256})
		if err != nil {
			t.Fatal(err)
		}
		var claims josejwt.Claims
		if err := parsed.Claims(secret, &claims); err != nil || claims.Subject != "admin" {
			t.Errorf("%v, %+v", err, claims)
		}
		if _, err := c.Verify(t.Context(), access); err != nil {
			t.Error(err)
		}
		// ID tokens are for applications, which must not have the secret.
		id, err := c.IssueID(IDGrant{User: "admin", Client: "grafana", AccessToken: access, Lifetime: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := josejwt.ParseSigned(id, []jose.SignatureAlgorithm{jose.ES256}); err != nil {
			t.Error(err)
		}
	})
}
