package kube

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
)

// TestSendableGroups: every request of a user with very many groups was refused with 431,
// since each group is a header.
func TestSendableGroups(t *testing.T) {
	many := make([]string, 14_000)
	for n := range many {
		many[n] = fmt.Sprintf("group-%05d", n)
	}
	long := strings.Repeat("g", maxGroupBytes)
	for name, test := range map[string]struct {
		groups, sent []string // sent are all that are sent; nil for the first ones
		omits        bool
	}{
		"none":                  {nil, []string{}, false},
		"few":                   {many[:3], many[:3], false},
		"as many as are usual":  {many[:1000], many[:1000], false},
		"very many":             {many, nil, true},
		"one that is too long":  {[]string{"a", long, "b"}, []string{"a", "b"}, true},
		"one no header can be":  {[]string{"a", "x\r\nImpersonate-Group: system:masters", "b"}, []string{"a", "b"}, true},
		"one of Kubernetes":     {[]string{"a", long, user.AllUnauthenticated}, []string{"a", user.AllUnauthenticated}, true},
		"one in another script": {[]string{"Entwicklung-Köln"}, []string{"Entwicklung-Köln"}, false},
	} {
		before, header := GroupOmissions(), http.Header{}
		Impersonate(t.Context(), header, &user.DefaultInfo{Name: "jane", Groups: test.groups})
		sent := header["Impersonate-Group"]
		size := 0
		for _, group := range sent {
			size += groupOverhead + len(group)
		}
		if size > maxGroupBytes {
			t.Errorf("%s: %d bytes are sent", name, size)
		}
		if test.sent != nil && !slices.Equal(sent, test.sent) || test.sent == nil && (len(sent) < 1000 || !slices.Equal(sent, test.groups[:len(sent)])) {
			t.Errorf("%s: %d groups are sent", name, len(sent))
		}
		if omitted := GroupOmissions() - before; omitted > 1 || (omitted == 1) != test.omits {
			t.Errorf("%s: counted %d times", name, omitted)
		}
	}
}
