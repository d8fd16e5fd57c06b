package iam

import (
	"strings"
	"testing"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// TestUserSize: the own account took 1.2 MB, which whoever lists users gets.
func TestUserSize(t *testing.T) {
	user := func(description, annotation int) *iamv1alpha2.User {
		u := &iamv1alpha2.User{Spec: iamv1alpha2.UserSpec{Description: strings.Repeat("x", description)}}
		u.Annotations = map[string]string{"a": strings.Repeat("x", annotation)}
		return u
	}
	for _, test := range []struct {
		name            string
		present, wanted *iamv1alpha2.User
		fits            bool
	}{
		{"a new one", nil, user(1000, 1000), true},
		{"a long description", nil, user(maxUserBytes, 0), false},
		{"a long annotation", nil, user(0, maxUserBytes), false},
		{"both", user(0, 0), user(maxUserBytes/2, maxUserBytes/2), false},
		{"one that is there stays", user(maxUserBytes, 10), user(maxUserBytes, 10), true},
		{"and becomes shorter", user(2*maxUserBytes, 10), user(maxUserBytes, 10), true},
		{"not longer", user(maxUserBytes, 10), user(maxUserBytes, 11), false},
	} {
		if err := checkUserSize(test.present, test.wanted); (err == nil) != test.fits || err != nil && status.Of(err).Code != 422 {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
