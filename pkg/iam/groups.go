package iam

import (
	"context"
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/reserved"
)

// Groups creates and deletes the groups of workspaces, and puts users into
// them. A membership is a GroupBinding; what decides are the groups in the
// spec of the user, which follow.
type Groups struct {
	Client   client.Client
	Bindings *Bindings
}

// Get returns a group of a workspace, or a not-found error.
func (g *Groups) Get(ctx context.Context, workspace, name string) (*iamv1alpha2.Group, error) {
	group := &iamv1alpha2.Group{}
	if err := g.Client.Get(ctx, client.ObjectKey{Name: name}, group); err != nil {
		return nil, err
	}
	if group.Labels[iamv1alpha2.LabelWorkspace] != workspace {
		return nil, apierrors.NewNotFound(iamv1alpha2.Resource("groups"), name)
	}
	return group, nil
}

// GroupWorkspace returns the workspace whose members choose who is in a group, "" for a
// group of no workspace and for one that does not exist.
func GroupWorkspace(ctx context.Context, reader client.Reader, name string) (string, error) {
	group := &iamv1alpha2.Group{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, group); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	return group.Labels[iamv1alpha2.LabelWorkspace], nil
}

// GroupWarning is the warning about a role of the platform or the cluster that is given to
// a group of a workspace.
const GroupWarning = "the members of group %q are chosen in the workspace %s and get the role %s"

// Join makes a user a member of a group of a workspace and returns the
// membership: the one there was, or a new one.
func (g *Groups) Join(ctx context.Context, workspace, user, group string) (*iamv1alpha2.GroupBinding, error) {
	joined, err := g.Get(ctx, workspace, group)
	if err != nil {
		return nil, err
	}
	if err := g.Client.Get(ctx, client.ObjectKey{Name: user}, &iamv1alpha2.User{}); err != nil {
		return nil, err
	}
	if err := g.Adopt(ctx, joined); err != nil {
		return nil, err
	}
	existing, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool {
		return b.GroupRef.Name == group && slices.Contains(b.Users, user) && b.DeletionTimestamp == nil
	}, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace})
	if err != nil {
		return nil, err
	}
	if len(existing) > 0 {
		return &existing[0], setMembership(ctx, g.Client, user, group, true)
	}
	binding := membership(workspace, user, group)
	if err := g.Client.Create(ctx, binding); err != nil {
		return nil, err
	}
	return binding, setMembership(ctx, g.Client, user, group, true)
}

// membership is a new one.
func membership(workspace, user, group string) *iamv1alpha2.GroupBinding {
	return &iamv1alpha2.GroupBinding{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: group + "-" + user + "-",
			Labels: map[string]string{
				iamv1alpha2.LabelUserReference: user, iamv1alpha2.LabelGroupReference: group, iamv1alpha2.LabelWorkspace: workspace,
				reserved.LabelManagedBy: reserved.ManagedByServer,
			},
		},
		GroupRef: iamv1alpha2.GroupReference{APIGroup: iamv1alpha2.GroupName, Kind: "Group", Name: group},
		Users:    []string{user},
	}
}

// Membership returns a membership in a workspace, or a not-found error.
func (g *Groups) Membership(ctx context.Context, workspace, name string) (*iamv1alpha2.GroupBinding, error) {
	binding := &iamv1alpha2.GroupBinding{}
	if err := g.Client.Get(ctx, client.ObjectKey{Name: name}, binding); err != nil {
		return nil, err
	}
	if binding.Labels[iamv1alpha2.LabelWorkspace] != workspace {
		return nil, apierrors.NewNotFound(iamv1alpha2.Resource("groupbindings"), name)
	}
	return binding, nil
}

// GroupNames returns the names of the groups of a workspace a user is bound to.
func (g *Groups) GroupNames(ctx context.Context, workspace, user string) ([]string, error) {
	bound, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool { return slices.Contains(b.Users, user) },
		client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace})
	if err != nil {
		return nil, err
	}
	groups := make([]string, 0, len(bound))
	for n := range bound {
		groups = append(groups, bound[n].GroupRef.Name)
	}
	return groups, nil
}

// Leave deletes a membership.
func (g *Groups) Leave(ctx context.Context, binding *iamv1alpha2.GroupBinding) error {
	if err := deleteReleased(ctx, g.Client, binding); err != nil {
		return err
	}
	for _, user := range binding.Users {
		if err := g.Follow(ctx, user); err != nil {
			return err
		}
	}
	return nil
}

// Remove takes one user out of a membership, which is deleted with the last one.
func (g *Groups) Remove(ctx context.Context, binding *iamv1alpha2.GroupBinding, user string) error {
	if err := remove(ctx, g.Client, binding, user); err != nil {
		return err
	}
	return g.Follow(ctx, user)
}

// LeaveWorkspace takes a user out of all groups of a workspace.
func (g *Groups) LeaveWorkspace(ctx context.Context, workspace, user string) error {
	return leave(ctx, g.Client, user, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace})
}

// Follow brings the groups in the spec of a user in line with his memberships.
// Groups no Group object exists for, such as those of an identity provider,
// stay as they are, and so do those whose members are not adopted yet.
func (g *Groups) Follow(ctx context.Context, user string) error {
	groups := &iamv1alpha2.GroupList{}
	if err := g.Client.List(ctx, groups); err != nil {
		return err
	}
	bound, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool { return slices.Contains(b.Users, user) })
	if err != nil {
		return err
	}
	find := func(name string) *iamv1alpha2.Group {
		n := slices.IndexFunc(groups.Items, func(g iamv1alpha2.Group) bool { return g.Name == name && g.DeletionTimestamp == nil })
		if n < 0 {
			return nil
		}
		return &groups.Items[n]
	}
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found := &iamv1alpha2.User{}
		if err := g.Client.Get(ctx, client.ObjectKey{Name: user}, found); err != nil {
			return client.IgnoreNotFound(err)
		}
		wanted := Memberships(found.Spec.Groups, find, bound)
		if slices.Equal(wanted, found.Spec.Groups) {
			return nil
		}
		found.Spec.Groups = wanted
		return client.IgnoreNotFound(g.Client.Update(ctx, found))
	})
}

// Memberships are the groups a user should have: those he has, without groups
// he is not bound to, with those he is.
// find returns a group, nil for one that does not exist or is being deleted. A new group
// takes nobody out before its finalizer says that all who had its name have a membership.
func Memberships(has []string, find func(group string) *iamv1alpha2.Group, bound []iamv1alpha2.GroupBinding) []string {
	is := func(name string) bool {
		return slices.ContainsFunc(bound, func(b iamv1alpha2.GroupBinding) bool { return b.GroupRef.Name == name && b.DeletionTimestamp == nil })
	}
	wanted := slices.DeleteFunc(slices.Clone(has), func(name string) bool {
		group := find(name)
		return group != nil && slices.Contains(group.Finalizers, iamv1alpha2.FinalizerGroup) && !is(name)
	})
	for n := range bound {
		if name := bound[n].GroupRef.Name; is(name) && !slices.Contains(wanted, name) && find(name) != nil {
			wanted = append(wanted, name)
		}
	}
	return wanted
}

// leaveGroups takes a user out of all groups.
func leaveGroups(ctx context.Context, c client.Client, user string) error { return leave(ctx, c, user) }

// leave takes a user out of memberships. Groups the user has another membership in stay.
func leave(ctx context.Context, c client.Client, user string, options ...client.ListOption) error {
	bound, err := memberships(ctx, c, func(b *iamv1alpha2.GroupBinding) bool { return slices.Contains(b.Users, user) }, options...)
	if err != nil {
		return err
	}
	var problems []error
	for n := range bound {
		binding := &bound[n]
		problems = append(problems, remove(ctx, c, binding, user))
	}
	if len(bound) == 0 {
		return nil
	}
	left, err := memberships(ctx, c, func(b *iamv1alpha2.GroupBinding) bool {
		return slices.Contains(b.Users, user) && b.DeletionTimestamp == nil
	})
	if err != nil {
		return err
	}
	for n := range bound {
		group := bound[n].GroupRef.Name
		if !slices.ContainsFunc(left, func(b iamv1alpha2.GroupBinding) bool { return b.GroupRef.Name == group }) {
			problems = append(problems, setMembership(ctx, c, user, group, false))
		}
	}
	return errors.Join(problems...)
}

// remove takes a user out of a binding, or deletes the binding of no other user.
func remove(ctx context.Context, c client.Client, binding *iamv1alpha2.GroupBinding, user string) error {
	others := slices.DeleteFunc(slices.Clone(binding.Users), func(name string) bool { return name == user })
	if len(others) == 0 {
		return deleteReleased(ctx, c, binding)
	}
	binding.Users = others
	return client.IgnoreNotFound(c.Update(ctx, binding))
}

// setMembership writes into the spec of a user whether a group is there. A
// user who does not exist is in no group.
func setMembership(ctx context.Context, c client.Client, user, group string, member bool) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found := &iamv1alpha2.User{}
		if err := c.Get(ctx, client.ObjectKey{Name: user}, found); err != nil {
			return client.IgnoreNotFound(err)
		}
		if slices.Contains(found.Spec.Groups, group) == member {
			return nil
		}
		if member {
			found.Spec.Groups = append(found.Spec.Groups, group)
		} else {
			found.Spec.Groups = slices.DeleteFunc(found.Spec.Groups, func(name string) bool { return name == group })
		}
		return client.IgnoreNotFound(c.Update(ctx, found))
	})
}

func memberships(ctx context.Context, c client.Client, keep func(*iamv1alpha2.GroupBinding) bool, options ...client.ListOption) ([]iamv1alpha2.GroupBinding, error) {
	all := &iamv1alpha2.GroupBindingList{}
	if err := c.List(ctx, all, options...); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all.Items, func(b iamv1alpha2.GroupBinding) bool { return !keep(&b) }), nil
}

// deleteReleased deletes an object with nothing to wait for.
func deleteReleased(ctx context.Context, c client.Client, object client.Object) error {
	if err := c.Delete(ctx, object); err != nil {
		return client.IgnoreNotFound(err)
	}
	if len(object.GetFinalizers()) == 0 {
		return nil
	}
	return Release(ctx, c, object)
}
