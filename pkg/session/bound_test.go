package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects/objectstest"
)

// TestSurplus: of a user with too many sessions those go that have ended, then
// those that were not used for the longest time; others' never do.
func TestSurplus(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	session := func(name, user string, unused time.Duration, revoked bool, left time.Duration) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"user":%q,"revoked":%v,"lastUseTime":%q,"expirationTime":%q}}`,
			name, user, revoked, now.Add(-unused).Format("2006-01-02T15:04:05.000000Z07:00"), now.Add(left).Format(time.RFC3339))
	}
	cache, _ := objectstest.NewCache(t, map[string][]string{"sessions": {
		session("session-new", "jane", time.Minute, false, time.Hour), session("session-old", "jane", 3*time.Hour, false, time.Hour),
		session("session-older", "jane", 4*time.Hour, false, time.Hour), session("session-ended", "jane", time.Second, true, time.Hour),
		session("session-expired", "jane", 2*time.Second, false, -time.Second), session("session-john", "john", 9*time.Hour, false, time.Hour),
	}})
	for _, test := range []struct {
		perUser int
		want    []string
	}{
		{6, nil},
		{5, []string{"session-expired"}},
		{4, []string{"session-expired", "session-ended"}},
		{2, []string{"session-expired", "session-ended", "session-older", "session-old"}},
	} {
		b := &Bound{Cache: cache, Kind: objects.NewCatalog().Type("sessions"), PerUser: test.perUser}
		if got, err := b.surplus(t.Context(), "jane", now); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%d sessions: %v, %v, want %v", test.perUser, got, err, test.want)
		}
	}
}
