package passwordhash

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/crypto/bcrypt"
)

// TestBcrypt: hashes are as golang.org/x/crypto/bcrypt makes and reads them.
func TestBcrypt(t *testing.T) {
	for _, password := range []string{"a", "P@88w0rd", "with\x00a null", "pässwörd", strings.Repeat("x", 71), strings.Repeat("é", 36)} {
		for cost := bcrypt.MinCost; cost <= bcrypt.MinCost+2; cost++ {
			ours, err := hashBcrypt(rand.Reader, password, cost)
			if err != nil {
				t.Fatal(err)
			}
			if err := bcrypt.CompareHashAndPassword([]byte(ours), []byte(password)); err != nil {
				t.Errorf("%q: %v of %s", password, err, ours)
			}
			theirs, err := bcrypt.GenerateFromPassword([]byte(password), cost)
			if err != nil {
				t.Fatal(err)
			}
			if correct, worked := verifyBcrypt(string(theirs), password); !correct || !worked {
				t.Errorf("%q is not found to be that of %s", password, theirs)
			}
			if correct, worked := verifyBcrypt(string(theirs), password[:len(password)-1]+"?"); correct || !worked {
				t.Errorf("another password than %q is found to be that of %s", password, theirs)
			}
		}
	}
}

// Hashes others made, from the tests of John the Ripper and OpenBSD.
func TestBcryptOfOthers(t *testing.T) {
	for _, test := range []struct{ name, hash, password string }{
		{"2a", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		{"2a, longer", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
		{"2b", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		{"2y", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
		{"with the end of its line", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n", "U*U"},
	} {
		if correct, worked := verifyBcrypt(test.hash, test.password); !correct || !worked {
			t.Errorf("%s: %v, %v", test.name, correct, worked)
		}
		if bcrypt.CompareHashAndPassword([]byte(test.hash), []byte(test.password)) != nil {
			t.Errorf("%s: the library disagrees", test.name)
		}
	}
}

// TestNoBcrypt: what is no hash costs no work, nor what would cost days.
func TestNoBcrypt(t *testing.T) {
	const sum = "CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"
	for _, hash := range []string{
		"", "$", "$2a$", "$2a$05", "$2a$05$", "$2a$05$" + sum[:40], "$2a$03$" + sum, "$2a$32$" + sum, "$2a$xx$" + sum, "$3a$05$" + sum,
		"$2a$31$" + sum, "$2a$17$" + sum, "$2a$05$*" + sum[1:], strings.Repeat("$", 60), strings.Repeat("2", 60),
	} {
		if correct, worked := verifyBcrypt(hash, "U*U"); correct || worked {
			t.Errorf("%q: %v, %v", hash, correct, worked)
		}
	}
	broken := errors.New("no randomness")
	if _, err := hashBcrypt(iotest.ErrReader(broken), "x", bcrypt.MinCost); !errors.Is(err, broken) {
		t.Errorf("without randomness: %v", err)
	}
}

// A hash that does not pause keeps a processor from lists: 200 logins at once
// made the 99th percentile of a page seven times as long as in silence.
func TestBcryptPauses(t *testing.T) {
	pauses := 0
	if _, err := sumBcrypt("x", 6, make([]byte, 16), func() { pauses++ }); err != nil {
		t.Fatal(err)
	}
	if want := 1 << 6 / roundsInOneGo; pauses != want {
		t.Errorf("%d pauses in 64 rounds, want %d", pauses, want)
	}
}

// The price of the pauses is time, and hardly any of a processor.
func BenchmarkBcrypt(b *testing.B) {
	hash, err := bcrypt.GenerateFromPassword([]byte("password"), bcrypt.DefaultCost)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("with pauses", func(b *testing.B) {
		for b.Loop() {
			verifyBcrypt(string(hash), "password")
		}
	})
	b.Run("in one go", func(b *testing.B) {
		for b.Loop() {
			_ = bcrypt.CompareHashAndPassword(hash, []byte("password"))
		}
	})
}
