package tenant

import (
	"context"
	"strings"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/objects"
)

// Member is the owner of the memberships that GroupsPerMember counts: a user in the groups
// of a workspace.
func Member(workspace, user string) string { return workspace + "/" + user }

// countMemberships counts the memberships of a member.
func countMemberships(ctx context.Context, l *Limits, member string) (int, error) {
	workspace, name, _ := strings.Cut(member, "/")
	view, err := l.Cache.View(ctx, l.Catalog.Type("groupbindings"))
	if err != nil {
		return 0, err
	}
	count := 0
	view.All(func(item *objects.Item) bool {
		if item.Labels().Get(iamv1alpha2.LabelWorkspace) != workspace {
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

// countGroups counts the groups of a user: those of all workspaces, and those the user was
// put into elsewhere.
func countGroups(ctx context.Context, l *Limits, name string) (int, error) {
	view, err := l.Cache.View(ctx, l.Catalog.Type("users"))
	if err != nil {
		return 0, err
	}
	item := view.Get("", name)
	if item == nil {
		return 0, nil
	}
	return len(item.Field("spec.groups").Array()), nil
}
