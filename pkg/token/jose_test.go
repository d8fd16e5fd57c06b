package token

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejwt "github.com/go-jose/go-jose/v4/jwt"
)

// TestJOSE: another library finds the key by kid in what we publish and
// accepts our token, and we accept its.
func TestJOSE(t *testing.T) {
	c := newClock(t)
	c.keys, _ = mustNext(t, c.keys, epoch.Add(23*time.Hour))
	c.now = epoch.Add(24 * time.Hour) // the second key signs
	public, err := c.keys.Public()
	if err != nil {
		t.Fatal(err)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(mustJSON(t, public), &set); err != nil {
		t.Fatal(err)
	}
	text, err := c.Issue(Grant{User: "admin", Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := josejwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if kid := parsed.Headers[0].KeyID; kid != c.keys[1].ID || !set.Key(kid)[0].Valid() || !set.Key(kid)[0].IsPublic() {
		t.Fatalf("kid %s", kid)
	}
	var claims josejwt.Claims
	if err := parsed.Claims(&set, &claims); err != nil {
		t.Fatal(err)
	}
	if err := claims.ValidateWithLeeway(josejwt.Expected{Issuer: issuer, AnyAudience: josejwt.Audience{issuer}, Subject: "admin", Time: c.now}, 0); err != nil {
		t.Error(err)
	}

	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: c.keys[1].Private, KeyID: c.keys[1].ID}},
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
}
