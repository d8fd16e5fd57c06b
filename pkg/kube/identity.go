package kube

import (
	"context"
	"slices"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Identity is whom requests to Kubernetes are made as.
type Identity struct {
	// Groups stand for the roles of the user that count where the request takes place.
	Groups []string
	// Own says that the request is made by the account of this server, after a decision
	// that Kubernetes cannot make.
	Own bool
}

type identityKey struct{}

// WithIdentity returns a context whose requests Kubernetes decides about itself: as the
// user in the groups, or as this server. Without one it sees the user in none of them.
func WithIdentity(ctx context.Context, identity Identity) context.Context {
	return context.WithValue(ctx, identityKey{}, identity)
}

// IdentityFrom returns the identity of a context, false for none.
func IdentityFrom(ctx context.Context) (Identity, bool) {
	identity, found := ctx.Value(identityKey{}).(Identity)
	return identity, found
}

// groupsIn are the groups a user is impersonated with in a context, in order, since
// kube-apiserver remembers by the order as well whom it let act as whom.
func groupsIn(ctx context.Context, who user.Info) []string {
	identity, _ := IdentityFrom(ctx)
	if _, _, err := serviceaccount.SplitUsername(who.GetName()); err == nil {
		return nil // Kubernetes knows those of a service account by its name
	}
	groups := append(slices.Clone(identity.Groups), ownGroupsOf(who)...)
	slices.Sort(groups)
	return slices.Compact(groups)
}

// isOfPlatform reports whether a group stands for roles of the platform, or for
// everything.
func isOfPlatform(group string) bool { return hasPrefix(group, "kubesphere:") }
