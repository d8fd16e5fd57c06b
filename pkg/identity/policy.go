package identity

import (
	_ "embed" // the list of common passwords
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// The passwords people choose most, in lower case and in order: those of eight
// characters and more of the list zxcvbn ships (MIT licence, Dropbox, Inc.), and
// those of this field.
//
//go:embed common.txt
var commonPasswords string

// Policy says which passwords users may choose (NIST SP 800-63B §3.1.1.2: a
// least length and a list of those that are guessed first, no rules about
// kinds of characters).
type Policy struct {
	// MinLength is in characters.
	MinLength int
	// MaxBytes is what can be hashed.
	MaxBytes int

	common []string
}

// NewPolicy returns a policy.
func NewPolicy(minLength, maxBytes int) *Policy {
	return &Policy{MinLength: minLength, MaxBytes: maxBytes, common: strings.Split(strings.TrimSpace(commonPasswords), "\n")}
}

// Rejected says why a password may not be chosen. It never quotes it.
type Rejected struct{ Reason string }

func (r *Rejected) Error() string { return r.Reason }

// Check returns a *Rejected for a password that may not be chosen by a user
// with a name and an e-mail address.
func (p *Policy) Check(password, name, email string) error {
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	_, common := slices.BinarySearch(p.common, lower)
	switch {
	case utf8.RuneCountInString(password) < p.MinLength:
		return &Rejected{fmt.Sprintf("a password has at least %d characters", p.MinLength)}
	case len(password) > p.MaxBytes:
		return &Rejected{fmt.Sprintf("a password has at most %d bytes", p.MaxBytes)}
	case common:
		return &Rejected{"this password is one of those that are guessed first"}
	case lower == strings.ToLower(name), lower == strings.ToLower(email), local != "" && lower == strings.ToLower(local):
		return &Rejected{"a password must not be the name or the e-mail address of the user"}
	}
	return nil
}
