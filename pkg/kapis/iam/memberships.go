package iam

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// reserveMemberships makes room for further groups of users, see tenant.Limits. Users are put
// into groups without being asked, so that those of other creators of workspaces do not
// count.
func (h *Handler) reserveMemberships(r *http.Request, workspace string, added []GroupMember) (release func(), err error) {
	further := make(map[string]int)
	for _, one := range added {
		further[one.UserName]++
	}
	var reserved []func()
	release = func() {
		for _, one := range reserved {
			one()
		}
	}
	creator, err := h.Limits.BoundedCreator(r.Context(), workspace)
	if err != nil {
		return nil, err
	}
	for name, count := range further {
		owners := map[*tenant.Limit]string{tenant.GroupsPerMember: tenant.Member(workspace, name)}
		if creator != "" {
			owners[tenant.GroupsPerUser] = tenant.MemberOf(creator, name)
		}
		for limit, owner := range owners {
			one, err := h.Limits.Reserve(r.Context(), caller(r), limit, owner, count)
			if err != nil {
				release()
				return nil, err
			}
			reserved = append(reserved, one)
		}
	}
	return release, nil
}
