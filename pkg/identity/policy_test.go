package identity

import (
	"slices"
	"strings"
	"testing"
)

func TestP15Policy(t *testing.T) {
	policy := NewPolicy(8, 72)
	if !slices.IsSorted(policy.common) || len(policy.common) < 10000 {
		t.Fatalf("the list has %d entries, in order: %v", len(policy.common), slices.IsSorted(policy.common))
	}
	for _, test := range []struct {
		name, password, user, email string
		accepted                    bool
	}{
		{"a phrase", "correct horse battery staple", "jane", "jane@example.com", true},
		{"no kinds of characters are asked for", "xkqzvwpyrb", "jane", "jane@example.com", true},
		{"64 characters", strings.Repeat("x1", 32), "jane", "jane@example.com", true},
		{"too short", "x7-q;Qk", "jane", "jane@example.com", false},
		{"eight characters of two bytes", "éüößäàèñ", "jane", "jane@example.com", true},
		{"longer than can be hashed", strings.Repeat("x1", 37), "jane", "jane@example.com", false},
		{"common", "password123", "jane", "jane@example.com", false},
		{"common, in capitals", "PASSWORD123", "jane", "jane@example.com", false},
		{"the product", "KubeSphere", "jane", "jane@example.com", false},
		{"the name", "jane-of-the-jungle", "jane-of-the-jungle", "jane@example.com", false},
		{"the e-mail address", "Jane@Example.com", "jane", "jane@example.com", false},
		{"the part before the @", "jane.jungle", "jane", "jane.jungle@example.com", false},
		{"somebody else's name", "john-of-the-jungle", "jane", "jane@example.com", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := policy.Check(test.password, test.user, test.email)
			if accepted := err == nil; accepted != test.accepted {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), test.password) {
				t.Errorf("it quotes the password: %v", err)
			}
		})
	}
}
