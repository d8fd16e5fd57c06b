package authz

import (
	"context"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// turn lets one request at a time make many comparisons, so that a user who sends many
// such requests keeps one processor at most.
type turn struct {
	once  sync.Once
	taken chan struct{}
}

// take waits for the turn. It fails with status 429 when the context ends first.
func (t *turn) take(ctx context.Context) (release func(), err error) {
	t.once.Do(func() { t.taken = make(chan struct{}, 1) })
	select {
	case t.taken <- struct{}{}:
		return func() { <-t.taken }, nil
	case <-ctx.Done():
		return nil, status.TooManyRequests(time.Second, "the server compares as many rules as it can at the moment")
	}
}

// notCovered is notCovered, one at a time where many comparisons are needed.
func (r *RBAC) notCovered(ctx context.Context, held, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if max(product(elements(rules), words(held)), product(len(rules), len(held), short*short)) > fewComparisons {
		release, err := r.turn.take(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return notCovered(held, rules)
}
