package passwordhash

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/text/unicode/norm"
)

// Algorithms of password hashes.
const (
	Bcrypt   = "bcrypt"
	Argon2id = "argon2id"
)

// The parameters OWASP names as the least for argon2id.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// What a stored hash may ask for at the most: whoever may write a User could
// make every login of it take all memory otherwise.
const (
	maxArgonMemory  = 256 << 10 // KiB
	maxArgonTime    = 16
	maxArgonThreads = 16
	maxArgonKey     = 128
	maxBcryptCost   = 16
)

// The longest passwords, in bytes. bcrypt ignores what follows its 72nd.
const (
	maxBcrypt = 72
	maxArgon  = 1024
)

var argonPrefix = "$" + Argon2id + "$"

// Hasher makes the hashes of new passwords.
type Hasher struct {
	// Algorithm is Bcrypt or Argon2id; Bcrypt if empty.
	Algorithm string
	// Cost is that of bcrypt; 0 for bcrypt's default.
	Cost   int
	Random io.Reader
}

// Longest is the longest password there is a hash of, in bytes.
func (h Hasher) Longest() int {
	if h.Algorithm == Argon2id {
		return maxArgon
	}
	return maxBcrypt
}

func (h Hasher) cost() int {
	if h.Cost == 0 {
		return bcrypt.DefaultCost
	}
	return h.Cost
}

// Normalize returns the form of a password that is hashed: Unicode's NFC (RFC 8265
// §4.2). Keyboards and systems send the same characters in different forms.
func Normalize(password string) string { return norm.NFC.String(password) }

// Hash returns the hash of a password, normalized: bcrypt's, or argon2id's in the
// PHC string format.
func (h Hasher) Hash(password string) (string, error) {
	password = Normalize(password)
	switch {
	case password == "":
		return "", errors.New("a password must not be empty")
	case len(password) > h.Longest():
		return "", fmt.Errorf("a password has at most %d bytes", h.Longest())
	}
	if h.Algorithm != Argon2id {
		return hashBcrypt(h.Random, password, h.cost())
	}
	salt := make([]byte, argonSalt)
	if _, err := io.ReadFull(h.Random, salt); err != nil {
		return "", fmt.Errorf("hashing a password: %w", err)
	}
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", argonPrefix, argon2.Version, argonMemory, argonTime, argonThreads,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(sum)), nil
}

// Current reports whether a hash is as Hash would make it now.
func (h Hasher) Current(hash string) bool {
	if h.Algorithm == Argon2id {
		parsed, ok := parseArgon(hash)
		return ok && parsed.memory == argonMemory && parsed.time == argonTime && parsed.threads == argonThreads && len(parsed.sum) == argonKey
	}
	cost, err := bcrypt.Cost([]byte(hash))
	return err == nil && cost == h.cost()
}

// IsHash reports whether a text is the hash of a password, and not one itself.
func IsHash(stored string) bool {
	if _, ok := parseArgon(stored); ok {
		return true
	}
	_, err := bcrypt.Cost([]byte(stored))
	return err == nil
}

// Verify reports whether a password is that of a hash. worked is whether that
// took the work of a comparison: what is no hash is found out at once.
func Verify(hash, password string) (correct, worked bool) {
	if parsed, ok := parseArgon(hash); ok {
		fits := password != "" && len(password) <= maxArgon
		if !fits {
			password = "x" // the same work for what cannot be right
		}
		sum := argon2.IDKey([]byte(password), parsed.salt, parsed.time, parsed.memory, parsed.threads, uint32(len(parsed.sum))) //nolint:gosec // bounded by maxArgonKey
		return subtle.ConstantTimeCompare(sum, parsed.sum) == 1 && fits, true
	}
	fits := password != "" && len(password) <= maxBcrypt
	if !fits {
		password = "x"
	}
	correct, worked = verifyBcrypt(hash, password)
	return correct && fits, worked
}

type argonHash struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

// parseArgon reads a PHC string of argon2id:
// $argon2id$v=19$m=19456,t=2,p=1$salt$hash.
func parseArgon(hash string) (argonHash, bool) {
	rest, found := strings.CutPrefix(hash, argonPrefix)
	parts := strings.Split(rest, "$")
	if !found || len(parts) != 4 || parts[0] != "v="+strconv.Itoa(argon2.Version) {
		return argonHash{}, false
	}
	parameters := strings.Split(parts[1], ",")
	if len(parameters) != 3 {
		return argonHash{}, false
	}
	var values [3]uint32
	for n, limit := range []struct {
		name string
		max  uint32
	}{{"m=", maxArgonMemory}, {"t=", maxArgonTime}, {"p=", maxArgonThreads}} {
		text, found := strings.CutPrefix(parameters[n], limit.name)
		value, err := strconv.ParseUint(text, 10, 32)
		if !found || err != nil || value == 0 || value > uint64(limit.max) {
			return argonHash{}, false
		}
		values[n] = uint32(value)
	}
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[2])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[3])
	if err1 != nil || err2 != nil || len(salt) < 8 || len(salt) > maxArgonKey || len(sum) < 16 || len(sum) > maxArgonKey {
		return argonHash{}, false
	}
	return argonHash{memory: values[0], time: values[1], threads: uint8(values[2]), salt: salt, sum: sum}, true //nolint:gosec // at most 16
}
