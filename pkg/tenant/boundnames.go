package tenant

import (
	"context"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// RightsSource returns the present roles, bindings and namespaces. *iam.Directory does.
type RightsSource interface {
	Rights(ctx context.Context) (iam.Rights, error)
}

// BoundNames finds the bindings that service accounts of a new namespace would have at
// once: they were given to those of an earlier namespace of the name, or before there was one.
type BoundNames struct {
	Source RightsSource
	Rights authz.Coverer
}

// Bound returns the bindings outside of a namespace that name its service accounts; none
// for a user with all rights in the cluster, who gets nothing by them.
func (b *BoundNames) Bound(ctx context.Context, who user.Info, namespace string) (*iam.BoundServiceAccounts, error) {
	rights, err := b.Source.Rights(ctx)
	if err != nil {
		return nil, err
	}
	bound := rights.BoundServiceAccounts(namespace)
	if bound.Err() == nil {
		return bound, nil
	}
	held, err := authz.HoldsAll(ctx, b.Rights, who, authz.Scope{Cluster: authz.ThisCluster})
	if err != nil {
		return nil, err
	}
	if held {
		return &iam.BoundServiceAccounts{Namespace: namespace}, nil
	}
	return bound, nil
}

// Check returns an *iam.BoundError when a user may not create a namespace for the bindings
// of its service accounts, wherever they are.
func (b *BoundNames) Check(ctx context.Context, who user.Info, namespace string) error {
	bound, err := b.Bound(ctx, who, namespace)
	if err != nil {
		return err
	}
	return bound.Err()
}
