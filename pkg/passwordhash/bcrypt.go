package passwordhash

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/blowfish" //nolint:staticcheck // deprecated as a cipher; bcrypt is made of it
)

// bcrypt in parts. golang.org/x/crypto/bcrypt computes a hash in one go, which
// keeps a processor for 50 ms and more: with two of them, everybody else shares
// the other one while people log in, and neither Go's scheduler nor Linux' moves
// who waits there within less than some milliseconds. So the same steps are made
// here (Provos and Mazières, "A Future-Adaptable Password Scheme", 1999) with
// pauses, and golang.org/x/crypto/bcrypt is what the tests compare them with.
const (
	roundsInOneGo = 4 // about 0.2 ms of a processor
	pauseBetween  = 100 * time.Microsecond
)

// Lengths of the parts of a hash, as text.
const (
	bcryptSalt = 22 // of 16 bytes
	bcryptSum  = 31 // of 23 bytes: the 24th of the cipher text was forgotten in 1997
)

// bcryptEncoding is base64 with bcrypt's own alphabet.
func bcryptEncoding() *base64.Encoding {
	return base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)
}

// hashBcrypt returns the hash of a password of at most 72 bytes.
func hashBcrypt(random io.Reader, password string, cost int) (string, error) {
	if random == nil {
		random = rand.Reader
	}
	salt := make([]byte, 16)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	sum, err := sumBcrypt(password, cost, salt, rest)
	if err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	return fmt.Sprintf("$2a$%02d$%s%s", cost, bcryptEncoding().EncodeToString(salt), sum), nil
}

// verifyBcrypt is as Verify, for the hashes bcrypt makes.
func verifyBcrypt(hash, password string) (correct, worked bool) {
	cost, err := bcrypt.Cost([]byte(hash))
	if err != nil || cost > maxBcryptCost {
		return false, false
	}
	_, encoded, _ := strings.Cut(hash[len("$2"):], "$") // what follows the version
	_, encoded, found := strings.Cut(encoded, "$")
	if !found || len(encoded) < bcryptSalt+bcryptSum {
		return false, false
	}
	salt, err := bcryptEncoding().DecodeString(encoded[:bcryptSalt])
	if err != nil {
		return false, false
	}
	sum, err := sumBcrypt(password, cost, salt, rest)
	if err != nil {
		return false, false
	}
	return subtle.ConstantTimeCompare([]byte(sum), []byte(encoded[bcryptSalt:bcryptSalt+bcryptSum])) == 1, true
}

// sumBcrypt is the last part of a hash. It pauses between the rounds.
func sumBcrypt(password string, cost int, salt []byte, pause func()) (string, error) {
	key := append([]byte(password), 0) // the end of a string of C belongs to it
	cipher, err := blowfish.NewSaltedCipher(key, salt)
	if err != nil {
		return "", err
	}
	for round := range 1 << cost {
		if round%roundsInOneGo == roundsInOneGo-1 {
			pause()
		}
		blowfish.ExpandKey(key, cipher)
		blowfish.ExpandKey(salt, cipher)
	}
	text := []byte("OrpheanBeholderScryDoubt")
	for block := 0; block < len(text); block += blowfish.BlockSize {
		for range 64 {
			cipher.Encrypt(text[block:], text[block:])
		}
	}
	return bcryptEncoding().EncodeToString(text[:23]), nil
}

// rest lets goroutines that wait for a processor have this one, then threads.
func rest() {
	runtime.Gosched()
	nap(pauseBetween)
}
