package authz

import (
	"cmp"
	"context"
	"sync"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/turns"
)

// comparisonWait is how long a request waits for its turn to compare many rules: as long as
// a request may take.
const comparisonWait = time.Minute

// turn lets one request at a time make many comparisons, the users in turn, so that a user
// who sends many such requests keeps one processor at most, and others waiting for one of them.
type turn struct {
	once  sync.Once
	turns *turns.Turns
}

// take waits for the turn of a user. It fails with status 429 when the context ends first.
func (t *turn) take(ctx context.Context, who user.Info) (release func(), err error) {
	t.once.Do(func() {
		t.turns = turns.New(1, 1, comparisonWait, "the server compares as many rules as it can at the moment")
	})
	return t.turns.Take(ctx, cmp.Or(turns.HolderFrom(ctx), kube.Holder(who)))
}

// notCovered is notCovered, one at a time where many comparisons are needed.
func (r *RBAC) notCovered(ctx context.Context, who user.Info, held, rules []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, error) {
	if max(product(elements(rules), words(held)), product(len(rules), len(held), short*short)) > fewComparisons {
		release, err := r.turn.take(ctx, who)
		if err != nil {
			return nil, err
		}
		defer release()
	}
	return notCovered(held, rules)
}
