package token

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

// FuzzVerify: no text but one this server signed is a token, whatever its parts say,
// and every refusal is one of the errors that callers know.
func FuzzVerify(f *testing.F) {
	c := newClock(f)
	c.Shared = []byte("a shared secret of an installation")
	header, claims := c.good()
	valid := sign(f, header, claims, ecdsaKey(c.keys[0]))
	parts := strings.Split(valid, ".")
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, seed := range []string{
		valid, "", ".", "..", "...", parts[0] + "." + parts[1] + ".", valid + "=", valid + "." + parts[2], " " + valid,
		part(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".",
		part(`{"alg":"HS256","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2],
		part(`{"alg":"HS256","typ":"at+jwt","kid":""}`) + "." + parts[1] + "." + parts[2],
		part(`{"alg":"ES256","typ":"at+jwt","kid":["a"],"crit":["b64"],"b64":false}`) + "." + parts[1] + "." + parts[2],
		parts[0] + "." + part(`{"sub":"admin","sid":"s","exp":1e400}`) + "." + parts[2],
		parts[0] + "." + part(`{"sub":null,"sid":{},"aud":[[]],"exp":"x","iat":-1}`) + "." + parts[2],
		part(`[]`) + "." + part(`[]`) + "." + part(``), part("\xff") + "." + part("\x00") + ".AA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := c.Verify(t.Context(), text)
		switch {
		case err == nil && text != valid:
			t.Errorf("%q is taken for a token of %+v", text, got)
		case err == nil && (got.Subject != "admin" || got.Session == ""):
			t.Errorf("the token says %+v", got)
		case err != nil && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrExpired):
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzVerifyID: what is taken back as an ID token was issued here.
func FuzzVerifyID(f *testing.F) {
	c := newClock(f)
	id, err := c.IssueID(IDGrant{User: "admin", Client: "console", Session: "session-1", AccessToken: "access", Lifetime: time.Hour})
	if err != nil {
		f.Fatal(err)
	}
	header, claims := c.good()
	access := sign(f, header, claims, ecdsaKey(c.keys[0]))
	for _, seed := range []string{id, access, "", "..", id + ".", strings.Replace(id, ".", "..", 1), id[:len(id)-4] + "AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := c.VerifyID(t.Context(), text); err == nil && text != id {
			t.Errorf("%q is taken for an ID token of %+v", text, got)
		}
	})
}
