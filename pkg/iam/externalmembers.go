package iam

import (
	"context"
	"errors"
	"slices"

	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// External members of a group have its name in their spec since before there is a Group
// object: an identity provider or an administrator gave it to them. When the object is
// created, each gets a membership of no workspace, which keeps the name in the spec
// whatever happens to the other memberships, and which is deleted with the object.

// Adopt gives the external members of a new group their memberships. The finalizer says
// that all have one: only then is a user without a membership taken out of the group. Adopt
// can be called again after any interruption.
func (g *Groups) Adopt(ctx context.Context, group *iamv1alpha2.Group) error {
	if group.DeletionTimestamp != nil || slices.Contains(group.Finalizers, iamv1alpha2.FinalizerGroup) {
		return nil
	}
	// Users come first: those who join meanwhile have their membership before the name.
	users := &iamv1alpha2.UserList{}
	if err := g.Client.List(ctx, users); err != nil {
		return err
	}
	bound, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool { return b.GroupRef.Name == group.Name })
	if err != nil {
		return err
	}
	var problems []error
	for n := range users.Items {
		user := &users.Items[n]
		if !slices.Contains(user.Spec.Groups, group.Name) || isMember(bound, user.Name) {
			continue
		}
		binding := membership("", user.Name, group.Name)
		delete(binding.Labels, iamv1alpha2.LabelWorkspace)
		binding.Labels[iamv1alpha2.LabelExternalMember] = "true"
		problems = append(problems, g.Client.Create(ctx, binding))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := g.Client.Get(ctx, client.ObjectKeyFromObject(group), group); err != nil {
			return client.IgnoreNotFound(err)
		}
		if group.DeletionTimestamp != nil || !AddFinalizer(group, iamv1alpha2.FinalizerGroup) {
			return nil
		}
		return client.IgnoreNotFound(g.Client.Update(ctx, group))
	})
}

func isExternal(binding *iamv1alpha2.GroupBinding) bool {
	return binding.Labels[iamv1alpha2.LabelExternalMember] != ""
}

func isMember(bound []iamv1alpha2.GroupBinding, user string) bool {
	return slices.ContainsFunc(bound, func(b iamv1alpha2.GroupBinding) bool { return slices.Contains(b.Users, user) })
}

// MembersOf names the users who would be in a new group of a workspace at once, as RESOURCE
// NAME: those with its name in their spec, and the memberships of other workspaces.
func (g *Groups) MembersOf(ctx context.Context, workspace, name string) ([]string, error) {
	foreign, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool {
		return b.GroupRef.Name == name && b.Labels[iamv1alpha2.LabelWorkspace] != workspace
	})
	if err != nil {
		return nil, err
	}
	var members []string
	for n := range foreign {
		members = append(members, "groupbindings "+foreign[n].Name)
	}
	users := &iamv1alpha2.UserList{}
	if err := g.Client.List(ctx, users); err != nil {
		return nil, err
	}
	for n := range users.Items {
		if slices.Contains(users.Items[n].Spec.Groups, name) {
			members = append(members, "users "+users.Items[n].Name)
		}
	}
	return members, nil
}
