package session

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
)

// A user whose name is longer than a label's value could not log in.
func TestUserLabel(t *testing.T) {
	long := strings.Repeat("a", 200)
	for _, user := range []string{"admin", "a.b-c", long, long + "b", strings.Repeat("a", 63), strings.Repeat("a", 64)} {
		if problems := validation.IsValidLabelValue(UserLabel(user)); len(problems) > 0 {
			t.Errorf("%.70s: %v", user, problems)
		}
	}
	if UserLabel("admin") != "admin" || UserLabel(long) == UserLabel(long+"b") {
		t.Error("labels do not tell users apart")
	}
}
