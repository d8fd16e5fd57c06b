package identity

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"golang.org/x/crypto/bcrypt"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/passwordhash"
)

// TestNormalizedPasswords: the same characters are the same password however they
// are sent, and hashes of earlier versions still match.
func TestNormalizedPasswords(t *testing.T) {
	const composed, decomposed = "Gr\u00fc\u00dfe-1984", "Gru\u0308\u00dfe-1984"
	rawHash := func(password string) string {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost-4)
		if err != nil {
			t.Fatal(err)
		}
		return string(hash)
	}
	newHash, err := hasher(t).Hash(decomposed)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, hash, typed string
		ok, rehashed      bool
	}{
		{"a new hash, as it was chosen", newHash, decomposed, true, false},
		{"a new hash, composed", newHash, composed, true, false},
		{"an earlier hash, as it was chosen", rawHash(decomposed), decomposed, true, true},
		{"an earlier hash of the composed form", rawHash(composed), decomposed, true, false},
		{"another password", newHash, "Grusse-1984", false, false},
		{"compatible characters are others", rawHash("Gr\u00fc\u00dfe-\u00b9"), "Gr\u00fc\u00dfe-1", false, false},
	} {
		all := users{"jane": &iamv1alpha2.User{
			ObjectMeta: metav1.ObjectMeta{Name: "jane"}, Spec: iamv1alpha2.UserSpec{EncryptedPassword: test.hash}, Status: iamv1alpha2.UserStatus{State: iamv1alpha2.UserActive},
		}}
		passwords, err := NewPasswords(all, hasher(t), NewBackoff(5, time.Hour, time.Now))
		if err != nil {
			t.Fatal(err)
		}
		_, err = passwords.Authenticate(t.Context(), Attempt{Name: "jane", Password: test.typed, Address: "192.0.2.1"})
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
		now := all["jane"].Spec.EncryptedPassword
		if (now != test.hash) != test.rehashed {
			t.Errorf("%s: rehashed: %v", test.name, now != test.hash)
		}
		if correct, _ := passwordhash.Verify(now, composed); test.rehashed && !correct {
			t.Errorf("%s: the new hash is not of the composed form", test.name)
		}
	}
}
