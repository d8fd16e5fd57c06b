package authz

import (
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// What everybody may read, nobody may write for that.
func TestPublicReads(t *testing.T) {
	reads := PublicReads{"/a/theme"}
	for _, test := range []struct {
		verb, path string
		want       bool
	}{
		{"get", "/a/theme", true}, {"head", "/a/theme", true}, {"list", "/a/theme", true},
		{"update", "/a/theme", false}, {"put", "/a/theme", false}, {"create", "/a/theme", false}, {"delete", "/a/theme", false}, {"", "/a/theme", false},
		{"get", "/a/theme/b", false}, {"get", "/a", false},
	} {
		a := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: user.Anonymous}, Verb: test.verb, Path: test.path}
		if allowed(t, reads, a) != test.want {
			t.Errorf("%s %s", test.verb, test.path)
		}
	}
}
