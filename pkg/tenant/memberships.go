package tenant

import (
	"context"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/authz"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Member is the owner of the memberships that GroupsPerMember counts: a user in the groups
// of a workspace.
func Member(workspace, user string) string { return workspace + "/" + user }

// countMemberships counts the memberships of a member.
func countMemberships(ctx context.Context, l *Limits, member string) (int, error) {
	workspace, name, _ := strings.Cut(member, "/")
	return countBindings(ctx, l, name, func(of string) bool { return of == workspace })
}

// MemberOf is the owner of the memberships that GroupsPerUser counts: a user in the groups of
// all workspaces of one creator.
func MemberOf(creator, user string) string { return creator + "/" + user }

// BoundedCreator returns the creator of a workspace for whom GroupsPerUser holds: "" for a
// workspace of an administrator of the platform, who decides how many there are, and for one
// that this server did not create.
func (l *Limits) BoundedCreator(ctx context.Context, workspace string) (string, error) {
	if l == nil || l.Values.GroupsPerUser == 0 {
		return "", nil
	}
	creators, err := l.workspaceCreators(ctx)
	if err != nil {
		return "", err
	}
	creator := creators[workspace]
	if creator == "" || creator == iamv1alpha2.CreatorSystem {
		return "", nil
	}
	users, err := l.Cache.View(ctx, l.Catalog.Type("users"))
	if err != nil {
		return "", err
	}
	who := &user.DefaultInfo{Name: creator}
	if item := users.Get("", creator); item != nil {
		for _, group := range item.Field("spec.groups").Array() {
			who.Groups = append(who.Groups, group.String())
		}
	}
	administers, err := authz.HoldsAll(ctx, l.Rights, who, authz.Scope{})
	if err != nil || administers {
		return "", err
	}
	return creator, nil
}

// workspaceCreators returns the creators of workspaces by the names of these.
func (l *Limits) workspaceCreators(ctx context.Context) (map[string]string, error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("workspacetemplates"))
	if err != nil {
		return nil, err
	}
	creators := make(map[string]string, view.Len())
	view.All(func(item *objects.Item) bool {
		creators[item.Name()] = creatorOf(item)
		return true
	})
	return creators, nil
}

// countGroupsOf counts the memberships of a MemberOf.
func countGroupsOf(ctx context.Context, l *Limits, memberOf string) (int, error) {
	creator, name, _ := strings.Cut(memberOf, "/")
	creators, err := l.workspaceCreators(ctx)
	if err != nil {
		return 0, err
	}
	return countBindings(ctx, l, name, func(workspace string) bool { return creators[workspace] == creator })
}

// countBindings counts the memberships of a user in workspaces.
func countBindings(ctx context.Context, l *Limits, name string, counts func(workspace string) bool) (int, error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("groupbindings"))
	if err != nil {
		return 0, err
	}
	count := 0
	view.All(func(item *objects.Item) bool {
		if !counts(item.Labels().Get(iamv1alpha2.LabelWorkspace)) {
			return true
		}
		for _, user := range item.Field("users").Array() {
			if user.String() == name {
				count++
			}
		}
		return true
	})
	return count, nil
}
