package secondlock

import (
	"context"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
)

const (
	// agreed is how long an answer of Kubernetes counts, and remembered how long it does
	// while Kubernetes does not answer.
	agreed     = 5 * time.Second
	remembered = time.Hour
	// maxRemembered bounds the answers that are kept.
	maxRemembered = 4096
)

// agreement is an answer of Kubernetes.
type agreement struct {
	at      time.Time
	allowed bool
}

// Agrees reports whether Kubernetes, too, permits what this server is about to answer
// from memory. A refusal counts as a disagreement. What Kubernetes has permitted within the
// hour stays permitted while it does not answer.
func (l *Lock) Agrees(ctx context.Context, who user.Info, action authorizationv1.ResourceAttributes) bool {
	scope := authz.Scope{Namespace: action.Namespace}
	if action.Namespace == "" {
		scope.Cluster = authz.ThisCluster
	}
	identity, err := l.identityIn(ctx, who, scope, false)
	if err != nil {
		return false
	}
	key := strings.Join(append(append([]string{who.GetName(), action.Verb, action.Group, action.Resource, action.Namespace, ""}, identity.Groups...), who.GetGroups()...), "\x00")
	known, _ := l.agreements.Get(key)
	last, _ := known.(agreement)
	if l.Now().Sub(last.at) < agreed {
		return last.allowed
	}
	ctx = kube.WithIdentity(kube.WithCaller(ctx, who), identity)
	allowed, err := l.awaitsPermission(ctx, who, action)
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		return last.allowed
	}
	if !allowed {
		l.Disagree(ctx, action.Namespace+"/"+action.Resource, []byte("a review"))
	}
	l.agreements.Add(key, agreement{l.Now(), allowed}, remembered)
	return allowed
}
