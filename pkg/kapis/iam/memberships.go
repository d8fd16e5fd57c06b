package iam

import (
	"net/http"

	"github.com/super-kubenetes/ks-apiserver/pkg/tenant"
)

// reserveMemberships makes room for further groups of users, see tenant.Limits. Users may
// be put into the groups of any workspace, also by those who create groups there, so that
// the number of groups of one user is bounded.
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
	for name, count := range further {
		for limit, owner := range map[*tenant.Limit]string{tenant.GroupsPerMember: tenant.Member(workspace, name), tenant.GroupsPerUser: name} {
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
