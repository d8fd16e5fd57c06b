package iam

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/kube"
	"github.com/super-kubenetes/ks-apiserver/pkg/status"
)

// maxGroupDepth bounds how many groups are above one another.
const maxGroupDepth = 32

// Create creates a group in a workspace. Callers check that the name is not reserved.
// The name of a group is known in all workspaces: one that users have, or that has a role
// on the platform, in the cluster or in a namespace of no workspace, is a *BoundError,
// unless confirmed says that the caller has all that comes with it. Roles in other
// workspaces and their projects are taken away: whoever may give roles in a project could
// otherwise keep any name from others.
func (g *Groups) Create(ctx context.Context, workspace string, wanted *iamv1alpha2.Group, confirmed bool) (*iamv1alpha2.Group, error) {
	created := &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{
		Name: wanted.Name, GenerateName: wanted.GenerateName, Labels: wanted.Labels, Annotations: wanted.Annotations,
		Finalizers: []string{iamv1alpha2.FinalizerGroup},
	}}
	if created.Name != "" {
		created.GenerateName = ""
	}
	if name := created.Name + created.GenerateName; len(validation.IsValidLabelValue(strings.TrimRight(name, "-"))) > 0 || name == "" {
		return nil, status.Invalid("metadata.name", "a name of at most 63 letters, digits, '-' and '.' is required")
	}
	if err := g.place(ctx, workspace, created); err != nil {
		return nil, err
	}
	if created.Name == "" {
		return created, g.Client.Create(ctx, created)
	}
	err := g.Client.Get(ctx, client.ObjectKeyFromObject(created), &iamv1alpha2.Group{})
	switch {
	case err == nil: // what it has is its workspace's affair
		return nil, apierrors.NewAlreadyExists(iamv1alpha2.Resource("groups"), created.Name)
	case !apierrors.IsNotFound(err):
		return nil, err
	}
	if confirmed {
		created.Finalizers = nil
		if err := g.Client.Create(ctx, created); err != nil {
			return nil, err
		}
		return created, g.Adopt(ctx, created)
	}
	local, err := g.unbound(ctx, workspace, created.Name)
	if err != nil {
		return nil, err
	}
	if err := g.Client.Create(ctx, created); err != nil {
		return nil, err
	}
	// After the creation, which fails when another workspace took the name meanwhile: what
	// was found is not that group's.
	if err := g.Bindings.takeAway(ctx, rbacv1.GroupKind, created.Name, local); err != nil {
		return nil, errors.Join(err, g.Client.Delete(ctx, created, client.Preconditions{UID: &created.UID}))
	}
	return created, nil
}

// unbound returns a *BoundError when a group of the name would have members at once, or
// roles on the platform, in the cluster, in namespaces of no workspace or in the workspace
// of the platform. It returns the roles in other workspaces.
func (g *Groups) unbound(ctx context.Context, workspace, name string) ([]binding, error) {
	bound, err := g.Bindings.ofGroup(ctx, name, func(place Place) (bool, error) {
		within, err := g.Bindings.within(ctx, workspace, place)
		return !within, err
	})
	if err != nil {
		return nil, err
	}
	members, err := g.MembersOf(ctx, workspace, name)
	if err != nil {
		return nil, err
	}
	wide, local, err := g.Bindings.byReach(ctx, bound)
	if err != nil {
		return nil, err
	}
	if len(wide) > 0 || len(members) > 0 {
		return nil, &BoundError{Kind: rbacv1.GroupKind, Name: name, Bindings: references(wide), Members: members}
	}
	return local, nil
}

// Update replaces the labels and annotations of a group of a workspace, unless check
// returns an error. It gets the object that is written over, and again after a conflict.
func (g *Groups) Update(ctx context.Context, workspace string, wanted *iamv1alpha2.Group, check func(present *iamv1alpha2.Group) error) (updated *iamv1alpha2.Group, err error) {
	err = kube.RetryReplace(wanted, func() error {
		updated, err = g.replace(ctx, workspace, wanted, check)
		return err
	})
	return updated, err
}

func (g *Groups) replace(ctx context.Context, workspace string, wanted *iamv1alpha2.Group, check func(present *iamv1alpha2.Group) error) (*iamv1alpha2.Group, error) {
	present, err := g.Get(ctx, workspace, wanted.Name)
	if err != nil {
		return nil, err
	}
	if err := kube.CheckVersion(iamv1alpha2.Resource("groups"), present, wanted); err != nil {
		return nil, err
	}
	if err := check(present); err != nil {
		return nil, err
	}
	updated := present.DeepCopy()
	updated.Labels, updated.Annotations = maps.Clone(wanted.Labels), wanted.Annotations
	if err := g.place(ctx, workspace, updated); err != nil {
		return nil, err
	}
	return updated, g.Client.Update(ctx, updated)
}

// place sets the workspace of a group and checks that the groups above it
// belong to the same, stay and end somewhere.
func (g *Groups) place(ctx context.Context, workspace string, group *iamv1alpha2.Group) error {
	if group.Labels == nil {
		group.Labels = make(map[string]string)
	}
	group.Labels[iamv1alpha2.LabelWorkspace] = workspace
	parent := group.Labels[iamv1alpha2.LabelGroupParent]
	for depth := 0; parent != ""; depth++ {
		if parent == group.Name {
			return status.Invalid("metadata.labels["+iamv1alpha2.LabelGroupParent+"]", "a group cannot be below itself")
		}
		if depth == maxGroupDepth {
			return status.Invalid("metadata.labels["+iamv1alpha2.LabelGroupParent+"]", "at most %d groups are above one another", maxGroupDepth)
		}
		above, err := g.Get(ctx, workspace, parent)
		switch {
		case apierrors.IsNotFound(err) && (parent == iamv1alpha2.GroupParentNone || depth > 0):
			return nil // the top, or what is above the parent is gone
		case err != nil:
			return err
		case above.DeletionTimestamp != nil && group.DeletionTimestamp == nil:
			return status.New(http.StatusConflict, metav1.StatusReasonConflict, "group %q is being deleted, with all groups below it", parent)
		}
		parent = above.Labels[iamv1alpha2.LabelGroupParent]
	}
	return nil
}

// Delete deletes a group of a workspace with its memberships and roles, and
// the groups below it.
func (g *Groups) Delete(ctx context.Context, workspace, name string) error {
	group, err := g.Get(ctx, workspace, name)
	if err != nil {
		return err
	}
	if err := g.mark(ctx, group); err != nil {
		return err
	}
	return g.Finish(ctx, group)
}

// mark deletes a group, which stays until its finalizer is removed.
func (g *Groups) mark(ctx context.Context, group *iamv1alpha2.Group) error {
	if group.DeletionTimestamp != nil {
		return nil
	}
	if err := g.Adopt(ctx, group); err != nil {
		return err
	}
	return client.IgnoreNotFound(g.Client.Delete(ctx, group, client.Preconditions{UID: &group.UID}))
}

// Finish removes what belongs to a group that is being deleted, and the groups
// below it, then lets them go. It can be called again after any interruption,
// and ends whatever the parents of groups say.
func (g *Groups) Finish(ctx context.Context, group *iamv1alpha2.Group) error {
	below, err := g.Descendants(ctx, group)
	if err != nil {
		return err
	}
	for _, child := range below {
		if err := g.mark(ctx, child); err != nil {
			return err
		}
	}
	var problems []error
	for _, one := range append(below, group) {
		problems = append(problems, g.clear(ctx, one))
	}
	return errors.Join(problems...)
}

// Descendants returns the groups of the same workspace below a group, each once.
// They are deleted with it.
func (g *Groups) Descendants(ctx context.Context, group *iamv1alpha2.Group) ([]*iamv1alpha2.Group, error) {
	all := &iamv1alpha2.GroupList{}
	workspace := group.Labels[iamv1alpha2.LabelWorkspace]
	if err := g.Client.List(ctx, all, client.MatchingLabels{iamv1alpha2.LabelWorkspace: workspace}); err != nil {
		return nil, err
	}
	children := make(map[string][]*iamv1alpha2.Group)
	for n := range all.Items {
		if parent := all.Items[n].Labels[iamv1alpha2.LabelGroupParent]; parent != "" {
			children[parent] = append(children[parent], &all.Items[n])
		}
	}
	var found []*iamv1alpha2.Group
	visited := map[string]bool{group.Name: true}
	for queue := children[group.Name]; len(queue) > 0; queue = queue[1:] {
		if child := queue[0]; !visited[child.Name] {
			visited[child.Name] = true
			found = append(found, child)
			queue = append(queue, children[child.Name]...)
		}
	}
	return found, nil
}

// clear removes the roles and memberships of a group, then lets it go. Bindings
// outside the workspace of the group are not the group's to delete: they keep
// its name from being taken again. External members have the name as before.
func (g *Groups) clear(ctx context.Context, group *iamv1alpha2.Group) error {
	workspace := group.Labels[iamv1alpha2.LabelWorkspace]
	if err := g.Bindings.RemoveGroup(ctx, workspace, group.Name); err != nil {
		return err
	}
	all, err := memberships(ctx, g.Client, func(b *iamv1alpha2.GroupBinding) bool { return b.GroupRef.Name == group.Name })
	if err != nil {
		return err
	}
	var own, external, kept []iamv1alpha2.GroupBinding
	for n := range all {
		switch {
		case isExternal(&all[n]):
			external = append(external, all[n])
		case workspace == "" || all[n].Labels[iamv1alpha2.LabelWorkspace] == workspace:
			own = append(own, all[n])
		default:
			kept = append(kept, all[n])
		}
	}
	for n := range own {
		for _, user := range own[n].Users {
			if isMember(external, user) || isMember(kept, user) {
				continue
			}
			if err := setMembership(ctx, g.Client, user, group.Name, false); err != nil {
				return err
			}
		}
		if err := deleteReleased(ctx, g.Client, &own[n]); err != nil {
			return err
		}
	}
	for n := range external { // at the end: they say whose names stay
		if err := deleteReleased(ctx, g.Client, &external[n]); err != nil {
			return err
		}
	}
	return Release(ctx, g.Client, &iamv1alpha2.Group{ObjectMeta: metav1.ObjectMeta{Name: group.Name}})
}
