package passwordhash

import (
	"crypto/rand"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// TestP14Hash: bcrypt and argon2id, and no password longer than they tell apart.
func TestP14Hash(t *testing.T) {
	cheap := Hasher{Cost: bcrypt.MinCost}
	argon := Hasher{Algorithm: Argon2id, Random: rand.Reader}
	for _, test := range []struct {
		name, password string
		hasher         Hasher
		accepted       bool
	}{
		{"empty", "", cheap, false},
		{"72 bytes", strings.Repeat("x", 72), cheap, true},
		{"73 bytes", strings.Repeat("x", 73), cheap, false},
		{"36 characters of two bytes", strings.Repeat("é", 36), cheap, true},
		{"37 characters of two bytes", strings.Repeat("é", 37), cheap, false},
		{"argon2id, empty", "", argon, false},
		{"argon2id, 73 bytes", strings.Repeat("x", 73), argon, true},
		{"argon2id, 1025 bytes", strings.Repeat("x", 1025), argon, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			hash, err := test.hasher.Hash(test.password)
			if accepted := err == nil; accepted != test.accepted {
				t.Fatalf("got %v", err)
			}
			if err != nil {
				if test.password != "" && strings.Contains(err.Error(), test.password) {
					t.Errorf("it quotes the password: %v", err)
				}
				return
			}
			if correct, _ := Verify(hash, test.password); !correct || !IsHash(hash) || !test.hasher.Current(hash) {
				t.Errorf("not the hash of the password: %s", hash)
			}
			if correct, worked := Verify(hash, test.password+"x"); correct || !worked {
				t.Error("a longer password is taken for it")
			}
			if again, _ := test.hasher.Hash(test.password); again == hash {
				t.Error("without salt")
			}
		})
	}
	// Made by the reference implementation's command line.
	if correct, _ := Verify("$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$+jUYRBrPPGKW5efrCBx9kJZz7cnPV0tdgPhKV4Q/GIo", "hunter2"); !correct {
		t.Error("a hash of another implementation is not understood")
	}
}

// TestNoHash: what is no hash, or asks for more work than is sensible, is none.
func TestNoHash(t *testing.T) {
	const salt, sum = "c29tZXNhbHQxMjM0NTY3OA", "CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno"
	for _, stored := range []string{
		"", "plain", "$argon2id$", "$2a$", "$argon2id$v=19$m=19456,t=2,p=1$" + salt, "$argon2id$v=16$m=19456,t=2,p=1$" + salt + "$" + sum,
		"$argon2i$v=19$m=19456,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=0,t=2,p=1$" + salt + "$" + sum,
		// One login would take 4 GiB, or minutes.
		"$argon2id$v=19$m=4194304,t=2,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=19456,t=1000,p=1$" + salt + "$" + sum,
		"$argon2id$v=19$m=19456,t=2,p=255$" + salt + "$" + sum, "$argon2id$v=19$m=19456,t=2$" + salt + "$" + sum,
		"$argon2id$v=19$t=2,m=19456,p=1$" + salt + "$" + sum, "$argon2id$v=19$m=19456,t=2,p=1$" + salt + "$", "$argon2id$v=19$m=19456,t=2,p=1$*$" + sum,
	} {
		if IsHash(stored) {
			t.Errorf("%q is taken for a hash", stored)
		}
		if correct, worked := Verify(stored, "plain"); correct || worked {
			t.Errorf("%q: %v, %v", stored, correct, worked)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("$2a$04$SIwF0eVBvuYZ8gfyEgz1We3SgN2E9BhFhvWKfWcpRzBCAA8kT8pVy", "password")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno", "password")
	f.Fuzz(func(t *testing.T, stored, password string) {
		if parsed, ok := parseArgon(stored); ok && (parsed.memory > 1<<10 || parsed.time > 2) {
			t.Skip("too much work for here")
		}
		if cost, err := bcrypt.Cost([]byte(stored)); err == nil && cost > 5 {
			t.Skip("too much work for here")
		}
		correct, worked := Verify(stored, password)
		if correct && (!worked || password == "" || !IsHash(stored)) {
			t.Errorf("%q for %q", password, stored)
		}
		if _, other := parseArgon(stored); !other && password != "" && len(password) <= maxBcrypt {
			if want := bcrypt.CompareHashAndPassword([]byte(stored), []byte(password)) == nil; correct != want {
				t.Errorf("%q for %q: %v, want %v", password, stored, correct, want)
			}
		}
	})
}
