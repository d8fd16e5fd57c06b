package iam

import (
	"context"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/lru"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// manyGroupBytes is how long the names of the groups of a user are together where their
// order matters: neither a header nor an ID token has room for many more.
const manyGroupBytes = 12 << 10

// orderedGroups are the groups of a user in the order that holds for a state of the rights.
type orderedGroups struct {
	item   *objects.Item
	rights *Rights
	groups []string
}

// orderGroups returns the groups of a user with those first that must not be left out where
// there is room for some: those of no workspace, those an identity provider put the user into
// and those with a role. Members of any workspace may put a user into further groups. Few
// groups stay as they are.
func (d *Directory) orderGroups(ctx context.Context, user string, names []string) ([]string, error) {
	if !areMany(names) || d.Cache == nil {
		return names, nil
	}
	rights, err := d.Rights(ctx)
	if err != nil {
		return nil, err
	}
	return d.orderManyGroups(ctx, user, names, &rights)
}

func areMany(names []string) bool {
	size := 0
	for _, name := range names {
		size += len(name)
	}
	return size > manyGroupBytes
}

func (d *Directory) orderManyGroups(ctx context.Context, user string, names []string, rights *Rights) ([]string, error) {
	matter := boundGroups(rights)
	groups, err := d.Cache.View(ctx, d.Catalog.Type("groups"))
	if err != nil {
		return nil, err
	}
	bindings, err := d.Cache.View(ctx, d.Catalog.Type("groupbindings"))
	if err != nil {
		return nil, err
	}
	bindings.All(func(item *objects.Item) bool {
		labels := item.Labels()
		external := labels.Get(iamv1alpha2.LabelIdentityProvider) != "" || labels.Get(iamv1alpha2.LabelExternalMember) != ""
		if external && labels.Get(iamv1alpha2.LabelUserReference) == user {
			matter[labels.Get(iamv1alpha2.LabelGroupReference)] = true
		}
		return true
	})
	var first, rest []string
	for _, name := range names {
		if group := groups.Get("", name); matter[name] || group == nil || group.Labels().Get(iamv1alpha2.LabelWorkspace) == "" {
			first = append(first, name)
		} else {
			rest = append(rest, name)
		}
	}
	return append(first, rest...), nil
}

// boundGroups are the groups that have a role anywhere.
func boundGroups(rights *Rights) map[string]bool {
	bound := make(map[string]bool)
	for _, bindings := range [][]*Binding{rights.GlobalRoleBindings.Items, rights.WorkspaceRoleBindings.Items, rights.ClusterRoleBindings.Items, rights.RoleBindings.Items} {
		for _, binding := range bindings {
			for n := range binding.Subjects {
				if subject := &binding.Subjects[n]; subject.Kind == rbacv1.GroupKind {
					bound[subject.Name] = true
				}
			}
		}
	}
	return bound
}

// accountGroups returns the groups of an account in their order, which is kept until the
// user or the rights change.
func (d *Directory) accountGroups(ctx context.Context, item *objects.Item, groups []string) []string {
	if !areMany(groups) {
		return groups
	}
	rights, err := d.Rights(ctx)
	if err != nil {
		return groups
	}
	d.orderOnce.Do(func() { d.orders = lru.New(knownAccounts) })
	if known, found := d.orders.Get(item.Name()); found {
		if known := known.(*orderedGroups); known.item == item && known.rights.Same(&rights) {
			return known.groups
		}
	}
	ordered, err := d.orderManyGroups(ctx, item.Name(), groups, &rights)
	if err != nil {
		return groups
	}
	d.orders.Add(item.Name(), &orderedGroups{item, &rights, slices.Clip(ordered)})
	return slices.Clip(ordered)
}
