package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// FuzzIDToken: without the provider's key nothing is an ID token.
func FuzzIDToken(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	p, err := New(Options{Issuer: "https://id.example.com", CodeOptions: outbound.CodeOptions{ClientID: "us"}}, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkLmV4YW1wbGUuY29tIiwiYXVkIjoidXMiLCJzdWIiOiJqYW5lIiwiZXhwIjo5OTk5OTk5OTk5fQ.", "")
	f.Add("a.b.c", "nonce")
	f.Fuzz(func(t *testing.T, raw, nonce string) {
		keys := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Public()}}
		if proven, err := p.verify(t.Context(), keys, raw, "access", nonce); err == nil {
			t.Errorf("%q is a token of %s", raw, proven.Subject)
		}
	})
}

// FuzzKeys: whatever a provider publishes as its keys, none of them is symmetric or
// private.
func FuzzKeys(f *testing.F) {
	f.Add(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
	f.Add(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)
	f.Add(`{"keys":[null]}`)
	f.Fuzz(func(t *testing.T, document string) {
		var set jose.JSONWebKeySet
		if json.Unmarshal([]byte(document), &set) != nil {
			return
		}
		for n := range set.Keys {
			if public := set.Keys[n].Public(); public.Valid() && !public.IsPublic() {
				t.Errorf("key %d of %q is not public", n, document)
			}
		}
	})
}

// FuzzClaims: claims of any kind are read without harm, and an address is verified
// only where the provider says so of that one.
func FuzzClaims(f *testing.F) {
	p, err := New(Options{Issuer: "https://id.example.com", CodeOptions: outbound.CodeOptions{ClientID: "us"}, GroupsKey: "roles"}, time.Now)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(`{"sub":"jane","email":"jane@example.com","email_verified":true,"roles":["a",1,null]}`)
	f.Add(`{"sub":1,"email":{},"email_verified":"yes","roles":{"a":"b"}}`)
	f.Fuzz(func(t *testing.T, document string) {
		claims := make(map[string]any)
		if json.Unmarshal([]byte(document), &claims) != nil {
			return
		}
		who := p.external("jane", claims)
		if who.EmailVerified && (who.Email == "" || claims["email_verified"] != true && claims["email_verified"] != "true") || len(who.Groups) > mostGroups || who.Subject != "jane" {
			t.Errorf("%s is %+v", document, who)
		}
	})
}
