package oauthclient

import (
	"crypto/sha256"
	"encoding/base64"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestP2RedirectURIs: to the letter, and nothing that only looks alike.
func TestP2RedirectURIs(t *testing.T) {
	c := &Client{RedirectURIs: []string{"https://app.example.com/cb", "http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost:8000/cb", "com.example.app:/cb", "http://intranet.example.com/cb", "*",
		"http://127.0.0.1:8000/dev?a;b=%7e", "http://[::1]:8000/dev", "http://intranet.example.com:8000/dev", "https://127.0.0.1:8443/dev"},
		PostLogoutRedirectURIs: []string{"https://app.example.com/bye"}}
	for _, test := range []struct {
		uri   string
		plain bool
		want  bool
	}{
		{"https://app.example.com/cb", false, true},
		{"https://app.example.com/cb/", false, false},
		{"https://app.example.com/cb?x=1", false, false},
		{"https://app.example.com/cb#x", false, false},
		{"https://app.example.com/CB", false, false},
		{"https://app.example.com:443/cb", false, false},
		{"https://APP.example.com/cb", false, false},
		{"https://app.example.com/cb/../cb", false, false},
		{"https://app.example.com@evil.example.com/cb", false, false},
		{"https://evil@app.example.com/cb", false, false},
		{"https://app.example.com.evil.example.com/cb", false, false},
		{"http://app.example.com/cb", true, false},
		{"//app.example.com/cb", false, false},
		{"/cb", false, false},
		{"", false, false},
		{"*", false, false},
		{"https://evil.example.com/", false, false},
		{"javascript:alert(1)", false, false},
		{"http://127.0.0.1/cb", false, true},
		{"http://127.0.0.1:49152/cb", false, true},
		{"http://127.0.0.1:65535/cb", false, true},
		{"http://127.0.0.1:65536/cb", false, false},
		{"http://127.0.0.1:0/cb", false, false},
		{"http://127.0.0.1:49152/other", false, false},
		{"http://[::1]:49152/cb", false, true},
		{"http://127.0.0.1.evil.example.com:80/cb", false, false},
		{"http://127.0.0.2:80/cb", false, false},
		{"https://127.0.0.1:49152/cb", false, false},
		{"http://localhost:8000/cb", false, true},
		{"http://localhost:8001/cb", false, false},
		{"http://127.0.0.1:8000/dev?a;b=%7e", false, true},
		{"http://127.0.0.1:49152/dev?a;b=%7e", false, true},
		{"http://127.0.0.1/dev?a;b=%7e", false, false},
		{"http://127.0.0.1:49152/dev?a;b=%7E", false, false},
		{"http://127.0.0.1:49152/dev", false, false},
		{"http://127.0.0.1:49152/dev/x?a;b=%7e", false, false},
		{"http://127.0.0.1:49152@evil.example.com/dev?a;b=%7e", false, false},
		{"http://[::1]:49152/dev", false, true},
		{"http://localhost:49152/dev", false, false},
		{"http://intranet.example.com:8001/dev", true, false},
		{"https://127.0.0.1:49152/dev", false, false},
		{"com.example.app:/cb", false, true},
		{"http://intranet.example.com/cb", false, false},
		{"http://intranet.example.com/cb", true, true},
		{"https://app.example.com/bye", false, false},
	} {
		if _, got := c.RedirectURI(test.uri, test.plain); got != test.want {
			t.Errorf("%q: %v", test.uri, got)
		}
	}
	if uri, ok := (&Client{RedirectURIs: []string{"https://a.example.com/cb"}}).RedirectURI("", false); !ok || uri != "https://a.example.com/cb" {
		t.Errorf("the only one: %q %v", uri, ok)
	}
	for uri, want := range map[string]bool{"https://app.example.com/bye": true, "https://app.example.com/cb": true, "https://app.example.com/": false, "https://evil.example.com/bye": false, "": false} {
		if got := c.PostLogoutURI(uri, false); got != want {
			t.Errorf("after logging out, %q: %v", uri, got)
		}
	}
}

// TestP5HashedSecrets: secrets need not be stored as they are.
func TestP5HashedSecrets(t *testing.T) {
	const secret = "s3cret"
	hashed, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("salt" + secret))
	sha := "$sha256$" + base64.RawStdEncoding.EncodeToString([]byte("salt")) + "$" + base64.RawStdEncoding.EncodeToString(sum[:])
	for _, test := range []struct {
		name, stored, given string
		want                bool
	}{
		{"bcrypt", string(hashed), secret, true},
		{"bcrypt, wrong", string(hashed), "other", false},
		{"the bcrypt hash itself", string(hashed), string(hashed), false},
		{"SHA-256", sha, secret, true},
		{"SHA-256, wrong", sha, "other", false},
		{"the SHA-256 hash itself", sha, sha, false},
		{"SHA-256 without a salt", "$sha256$" + base64.RawStdEncoding.EncodeToString(sum[:]), secret, false},
		{"a malformed hash is no secret", "$sha256$x", "$sha256$x", false},
		{"empty", sha, "", false},
		{"plain", "$2 and change", "$2 and change", true},
	} {
		if got := (&Client{Secret: test.stored}).Authenticates(test.given); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
