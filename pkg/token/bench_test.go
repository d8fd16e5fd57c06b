package token

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// BenchmarkVerify compares a token that is remembered, one that is not, and
// the check of the signature alone, below which the latter cannot be.
func BenchmarkVerify(b *testing.B) {
	c := newClock(b)
	text, err := c.Issue(Grant{User: "admin", Client: "kubesphere", Session: "session-0123456789abcdef0123456789abcdef", Lifetime: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("remembered", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Verify(b.Context(), text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		digest := sha256.Sum256([]byte(text))
		for b.Loop() {
			c.verified.Remove(digest)
			if _, err := c.Verify(b.Context(), text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("bare ECDSA", func(b *testing.B) {
		at := strings.LastIndexByte(text, '.')
		signed := text[:at]
		signature, err := base64.RawURLEncoding.DecodeString(text[at+1:])
		if err != nil {
			b.Fatal(err)
		}
		der := append([]byte{0x30, 0, 0x02}, integer(signature[:32])...)
		der = append(append(der, 0x02), integer(signature[32:])...)
		der[1] = byte(len(der) - 2)
		key := &ecdsaKey(c.keys[0]).PublicKey
		b.ReportAllocs()
		for b.Loop() {
			digest := sha256.Sum256([]byte(signed))
			if !ecdsa.VerifyASN1(key, digest[:], der) {
				b.Fatal("not valid")
			}
		}
	})
}

// integer is a positive integer in DER, without its tag.
func integer(value []byte) []byte {
	for len(value) > 1 && value[0] == 0 {
		value = value[1:]
	}
	if value[0] >= 0x80 {
		value = append([]byte{0}, value...)
	}
	return append([]byte{byte(len(value))}, value...)
}

func BenchmarkIssue(b *testing.B) {
	c := newClock(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Issue(Grant{User: "admin", Session: "session-1", Lifetime: time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
}
