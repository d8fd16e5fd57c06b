package mapping

import (
	"testing"

	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
)

// TestVerifiedEmails: an address is verified when the provider said so of the one that the
// account has, and no other.
func TestVerifiedEmails(t *testing.T) {
	provider := &identity.Provider{Name: "them", Mapping: identity.Mapping{Method: identity.MappingLookup}}
	for _, test := range []struct {
		name, email    string
		says, verified bool
	}{
		{"the address", "j@example.com", true, true},
		{"the address in other letters", "j@EXAMPLE.com", true, true},
		{"the address, unverified", "j@example.com", false, false},
		{"another address", "other@example.com", true, false},
		{"no address", "", true, false},
	} {
		a, _ := newAccounts(t, user("j", annotated("them", "4711")))
		for range 2 {
			found, _, err := a.Resolve(t.Context(), provider, identity.External{Subject: "4711", Email: test.email, EmailVerified: test.says})
			if err != nil || iam.HasVerifiedEmail(found) != test.verified {
				t.Errorf("%s: %v, %v", test.name, found.Annotations, err)
			}
		}
	}
}
