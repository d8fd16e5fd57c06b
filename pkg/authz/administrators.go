package authz

import (
	"context"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/sets"
)

// Administrators returns the users and groups that global roles with everything are given
// to, whether or not there are such users.
func (r *RBAC) Administrators(ctx context.Context) (users, groups []string, err error) {
	current, err := r.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	everything := sets.New[string]()
	for _, role := range current.from.GlobalRoles.Items {
		if IsEverything(RulesOf(role)) {
			everything.Insert(role.Name)
		}
	}
	for _, binding := range current.from.GlobalRoleBindings.Items {
		if !everything.Has(binding.RoleRef.Name) {
			continue
		}
		for _, subject := range binding.Subjects {
			switch subject.Kind {
			case rbacv1.UserKind:
				users = append(users, subject.Name)
			case rbacv1.GroupKind:
				groups = append(groups, subject.Name)
			}
		}
	}
	return users, groups, nil
}
