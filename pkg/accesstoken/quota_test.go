package accesstoken

import (
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// TestQuota: a user has a number of tokens at the most; those that are over and
// those of others do not count.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	w.PerUser = 2
	for range 2 {
		created, _ := w.create(t, "jane")
		w.event(t, "ADDED", created)
	}
	_, _, err := w.Create(t.Context(), "jane", Token{Scopes: []string{"read"}, Lifetime: time.Hour})
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "exceeded quota") {
		t.Errorf("one too many: %v", err)
	}
	w.create(t, "john")
	w.now = w.now.Add(2 * time.Hour)
	w.create(t, "jane")
}
