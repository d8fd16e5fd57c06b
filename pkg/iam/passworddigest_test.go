package iam

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/test/wait"
)

// TestPasswordDigest: users with another password, or of the same name and hash, have
// other digests.
func TestPasswordDigest(t *testing.T) {
	one := func(uid, hash string) string {
		return PasswordDigest(&iamv1alpha2.User{ObjectMeta: metav1.ObjectMeta{Name: "jane", UID: types.UID(uid)}, Spec: iamv1alpha2.UserSpec{EncryptedPassword: hash}})
	}
	seen := map[string]string{}
	for _, pair := range [][2]string{{"a", "hash"}, {"a", "other"}, {"b", "hash"}, {"a", ""}, {"", "hash"}, {"ah", "ash"}} {
		digest := one(pair[0], pair[1])
		if before, found := seen[digest]; found || digest != one(pair[0], pair[1]) {
			t.Errorf("%v has the digest of %s", pair, before)
		}
		seen[digest] = pair[0] + "/" + pair[1]
	}
}

// TestDirectoryPasswordDigest: a user is read again after a change alone.
func TestDirectoryPasswordDigest(t *testing.T) {
	d, events := newDirectory(t, map[string][]string{"users": {user("admin", "admin@example.com", "Active")}})
	before, err := d.PasswordDigest(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := d.Get(t.Context(), "admin")
	if err != nil {
		t.Fatal(err)
	}
	stored.Spec.EncryptedPassword = "another"
	if err := d.Client.Update(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if again, err := d.PasswordDigest(t.Context(), "admin"); err != nil || again != before {
		t.Errorf("the user was read again without a change in the cache: %v", err)
	}
	events["users"] <- `{"type":"MODIFIED","object":` + strings.Replace(user("admin", "admin@example.com", "Active"), `"resourceVersion":"1"`, `"resourceVersion":"2"`, 1) + `}`
	wait.For(t, "the digest of the new password", func() error {
		after, err := d.PasswordDigest(t.Context(), "admin")
		if err == nil && after != PasswordDigest(stored) {
			err = errors.New("it is that of the old one")
		}
		return err
	})
	if _, err := d.PasswordDigest(t.Context(), "nobody"); !apierrors.IsNotFound(err) {
		t.Errorf("of a user who does not exist: %v", err)
	}
}
