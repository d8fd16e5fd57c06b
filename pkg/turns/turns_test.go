package turns

import (
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestTurns: no user takes the turns of others, nor more than its share.
func TestTurns(t *testing.T) {
	slots := New(3, 2, 20*time.Millisecond, "too many")
	var held []func()
	for _, test := range []struct {
		name string
		who  string
		full bool
	}{
		{"the first", "mallory", false},
		{"the share", "mallory", false},
		{"one too many", "mallory", true},
		{"another user", "jane", false},
		{"one too many in total", "jane", true},
	} {
		release, err := slots.Take(t.Context(), test.who)
		if (err != nil) != test.full || err != nil && !apierrors.IsTooManyRequests(err) {
			t.Errorf("%s: %v", test.name, err)
		}
		if err == nil {
			held = append(held, release)
		}
	}
	for _, release := range held {
		release()
		release() // a second time changes nothing
	}
	if len(slots.slots) != 0 || len(slots.users) != 0 {
		t.Errorf("%d slots are held by %v", len(slots.slots), slots.users)
	}
}
