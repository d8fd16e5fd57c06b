package iam

import (
	"context"
	"log/slog"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Provide makes a user a member of the groups an identity provider puts him
// into, and takes him out of those it put him into before. Memberships others
// gave him stay, and groups that do not exist are nobody's.
func (g *Groups) Provide(ctx context.Context, provider, user string, wanted []string) error {
	provided, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool { return slices.Contains(b.Users, user) },
		client.MatchingLabels{iamv1alpha2.LabelUserReference: user, iamv1alpha2.LabelIdentityProvider: provider})
	if err != nil {
		return err
	}
	left := false
	for n := range provided {
		if slices.Contains(wanted, provided[n].GroupRef.Name) {
			continue
		}
		if err := deleteReleased(ctx, g.Client, &provided[n]); err != nil {
			return err
		}
		left = true
	}
	for _, name := range wanted {
		if slices.ContainsFunc(provided, func(b iamv1alpha2.GroupBinding) bool { return b.GroupRef.Name == name }) {
			continue
		}
		group := &iamv1alpha2.Group{}
		err := g.Client.Get(ctx, client.ObjectKey{Name: name}, group)
		if apierrors.IsNotFound(err) || err == nil && group.DeletionTimestamp != nil {
			slog.WarnContext(ctx, "an identity provider puts somebody into a group that does not exist", "provider", provider, "group", name)
			continue
		}
		if err != nil {
			return err
		}
		if err := g.Adopt(ctx, group); err != nil {
			return err
		}
		binding := membership(group.Labels[iamv1alpha2.LabelWorkspace], user, name)
		binding.Labels[iamv1alpha2.LabelIdentityProvider] = provider
		if err := g.Client.Create(ctx, binding); err != nil {
			return err
		}
		if err := setMembership(ctx, g.Client, user, name, true); err != nil {
			return err
		}
	}
	if !left {
		return nil
	}
	return g.Follow(ctx, user)
}
