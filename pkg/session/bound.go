package session

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Bound is how many sessions a user has at the most: each is an object in etcd,
// and whoever may log in can start any number.
type Bound struct {
	// Cache and Kind know the sessions of a user.
	Cache *objects.Cache
	Kind  *objects.Type
	// PerUser is the number of sessions; 0 is no bound.
	PerUser int
}

// deletedAtOnce bounds what a login deletes: sessions that were started at the
// same time at several replicas may be more than one too many.
const deletedAtOnce = 16

// usedSession is what is known of a session.
type usedSession struct {
	name    string
	ended   bool
	lastUse time.Time
}

// surplus returns the sessions of a user that have to go for another one, those
// that have ended and were not used for the longest time first.
func (b *Bound) surplus(ctx context.Context, user string, now time.Time) ([]string, error) {
	view, err := b.Cache.View(ctx, b.Kind)
	if err != nil {
		return nil, err
	}
	var all []usedSession
	err = view.With("user", user, func(item *objects.Item) bool {
		all = append(all, usedSession{
			name:    item.Name(),
			ended:   item.Field("spec.revoked").Bool() || item.Field("spec.expirationTime").Time().Before(now),
			lastUse: item.Field("spec.lastUseTime").Time(),
		})
		return true
	})
	over := len(all) - b.PerUser + 1
	if err != nil || over <= 0 {
		return nil, err
	}
	slices.SortFunc(all, func(a, b usedSession) int {
		if a.ended != b.ended {
			if a.ended {
				return -1
			}
			return 1
		}
		return cmp.Or(a.lastUse.Compare(b.lastUse), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, one := range all[:min(over, deletedAtOnce)] {
		names = append(names, one.name)
	}
	return names, nil
}

// makeRoom ends the sessions of a user that have to go for another one. Errors
// are logged; the login continues.
func (s *Sessions) makeRoom(ctx context.Context, user string) {
	if s.Bound == nil || s.Bound.PerUser == 0 {
		return
	}
	names, err := s.Bound.surplus(ctx, user, s.Now())
	for _, name := range names {
		gone := &iamv1alpha2.Session{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if failed := client.IgnoreNotFound(s.Client.Delete(ctx, gone)); failed != nil {
			err = failed
			break
		}
		slog.InfoContext(ctx, "Ended the oldest session of a user with too many", "user", user, "session", name)
	}
	if err != nil {
		slog.WarnContext(ctx, "Failed to end the oldest sessions of a user", "user", user, "error", err)
	}
}
