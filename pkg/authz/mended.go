package authz

import (
	"slices"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
	"github.com/super-kubenetes/ks-apiserver/pkg/iam"
)

// holes are what the role of everybody who is logged in allows on clusters that
// were set up by KubeSphere 3.x and must not, by group and resource: to change
// any workspace, its manager included, and to see the users, projects and
// services of all others (CVE-2024-46528). Own has what is left of each.
var holes = map[string][]string{
	groupTenant:    {"workspacetemplates"},
	groupIAM:       {"users"},
	groupResources: {"namespaces", "services"},
}

// mended is a role without such holes.
func mended(role *iam.Role) *iam.Role {
	if role.Name != iamv1alpha2.GlobalRoleAuthenticated {
		return role
	}
	closed := *role
	closed.Rules = nil
	for _, rule := range role.Rules {
		if len(rule.APIGroups) == 1 {
			rule.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(resource string) bool {
				return slices.Contains(holes[rule.APIGroups[0]], resource)
			})
		}
		if len(rule.Resources)+len(rule.NonResourceURLs) > 0 {
			closed.Rules = append(closed.Rules, rule)
		}
	}
	return &closed
}
